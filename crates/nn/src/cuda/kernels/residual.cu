// The gated residual x + gate * y, and grad * y, of which the gate's gradient is the sum.
// A block takes a row.

template <typename T>
DEVICE void gate_add(const T *x, const float *gate, const T *y, T *out, int width, int tokens,
                     int batch, int token) {
  const i64 row = blockIdx.x;
  gate += table_row(row, tokens, batch, token) * width;
  x += row * width, y += row * width, out += row * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    put(out[i], widen(x[i]) + gate[i] * widen(y[i]));
}

KERNEL gate_add_f32(const float *x, const float *gate, const float *y, float *out, int width,
                    int tokens, int batch, int token) {
  gate_add(x, gate, y, out, width, tokens, batch, token);
}
KERNEL gate_add_bf16(const bf16 *x, const float *gate, const bf16 *y, bf16 *out, int width,
                     int tokens, int batch, int token) {
  gate_add(x, gate, y, out, width, tokens, batch, token);
}

template <typename T>
DEVICE void products(const T *x, const T *y, float *out, i64 count) {
  const i64 step = static_cast<i64>(gridDim.x) * blockDim.x;
  for (i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    out[i] = widen(x[i]) * widen(y[i]);
}

KERNEL products_f32(const float *x, const float *y, float *out, i64 count) {
  products(x, y, out, count);
}
KERNEL products_bf16(const bf16 *x, const bf16 *y, float *out, i64 count) {
  products(x, y, out, count);
}
