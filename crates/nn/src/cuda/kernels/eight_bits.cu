// Numbers of 8 bits, 4 for the exponent and 3 behind the point (e4m3, without infinities),
// with a scale for each row: of a weight's output channel, or of a token.

constexpr float MOST = 448.0f;

/// To nearest, ties to even; what is larger than 448 becomes 448.
DEVICE u8 narrow(float x) {
  const u32 bits = bits_of(x), sign = bits >> 24 & 0x80u;
  const float size = fabsf(x);
  if (!(size == size)) return static_cast<u8>(sign | 0x7fu);
  if (size >= MOST) return static_cast<u8>(sign | 0x7eu);
  // Below 2^-6 steps are 2^-9; eight of them are the first number with a leading one.
  if (size < 0.015625f) return static_cast<u8>(sign | static_cast<u32>(rintf(size * 512.0f)));
  const u32 rounded = bits_of(size) + 0x7ffffu + (bits_of(size) >> 20 & 1u);
  const u32 code = (rounded >> 20) - (120u << 3);
  return static_cast<u8>(sign | (code > 0x7eu ? 0x7eu : code));
}

DEVICE float widen(u8 code) {
  const u32 exponent = code >> 3 & 15u, rest = code & 7u;
  const float size = exponent == 0 ? static_cast<float>(rest) * 0.001953125f
                                   : of_bits((exponent + 120u) << 23 | rest << 20);
  return code & 0x80u ? -size : size;
}

/// A block takes a row: `row = scale * code`, the largest element at 448.
template <typename T>
DEVICE void quantise(const T *from, u8 *to, float *scales, int width) {
  SHARED float parts[32];
  const i64 row = blockIdx.x;
  from += row * width, to += row * width;
  float most = 0.0f;
  for (int i = threadIdx.x; i < width; i += blockDim.x) most = fmaxf(most, fabsf(widen(from[i])));
  most = block_max(most, parts);
  const float scale = most > 0.0f ? most / MOST : 1.0f;
  if (threadIdx.x == 0) scales[row] = scale;
  for (int i = threadIdx.x; i < width; i += blockDim.x) to[i] = narrow(widen(from[i]) / scale);
}
KERNEL quantise_f32(const float *from, u8 *to, float *scales, int width) {
  quantise(from, to, scales, width);
}
KERNEL quantise_bf16(const bf16 *from, u8 *to, float *scales, int width) {
  quantise(from, to, scales, width);
}

template <typename T>
DEVICE void restore(const u8 *from, const float *scales, T *to, int width) {
  const i64 row = blockIdx.x;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    put(to[row * width + i], widen(from[row * width + i]) * scales[row]);
}
KERNEL restore_f32(const u8 *from, const float *scales, float *to, int width) {
  restore(from, scales, to, width);
}
KERNEL restore_bf16(const u8 *from, const float *scales, bf16 *to, int width) {
  restore(from, scales, to, width);
}
