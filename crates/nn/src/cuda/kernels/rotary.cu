// Rotary positions: pairs (2j, 2j + 1) of a row turn by an angle; sign -1 turns back.
// A block takes a row.

template <typename T>
DEVICE void rotate(const T *x, T *y, const float *cosines, const float *sines, int width,
                   int tokens, int batch, int token, float sign) {
  using Pair = Several<T, 2>;
  const i64 row = blockIdx.x, at = table_row(row, tokens, batch, token) * (width / 2);
  for (int j = threadIdx.x; j < width / 2; j += blockDim.x) {
    const float a = widen(x[row * width + 2 * j]), b = widen(x[row * width + 2 * j + 1]);
    const float c = cosines[at + j], s = sines[at + j] * sign;
    Pair pair;
    put(pair.values[0], a * c - b * s);
    put(pair.values[1], b * c + a * s);
    reinterpret_cast<Pair *>(y + row * width)[j] = pair;
  }
}

KERNEL rotate_f32(const float *x, float *y, const float *cosines, const float *sines, int width,
                  int tokens, int batch, int token, float sign) {
  rotate(x, y, cosines, sines, width, tokens, batch, token, sign);
}
KERNEL rotate_bf16(const bf16 *x, bf16 *y, const float *cosines, const float *sines, int width,
                   int tokens, int batch, int token, float sign) {
  rotate(x, y, cosines, sines, width, tokens, batch, token, sign);
}
