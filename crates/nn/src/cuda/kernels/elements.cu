// Functions of single elements and their gradients.

constexpr int GELU_TANH = 0, GELU_ERF = 1, SILU = 2;

template <typename T>
DEVICE void apply(const T *x, T *y, i64 count, int function) {
  const i64 step = static_cast<i64>(gridDim.x) * blockDim.x;
  for (i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const float value = widen(x[i]);
    put(y[i], function == GELU_TANH  ? gelu_tanh(value)
              : function == GELU_ERF ? gelu_erf(value)
                                     : silu(value));
  }
}

KERNEL apply_f32(const float *x, float *y, i64 count, int function) {
  apply(x, y, count, function);
}
KERNEL apply_bf16(const bf16 *x, bf16 *y, i64 count, int function) { apply(x, y, count, function); }

template <typename T>
DEVICE void slope(const T *x, const T *grad, T *dx, i64 count, int function) {
  const i64 step = static_cast<i64>(gridDim.x) * blockDim.x;
  for (i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const float value = widen(x[i]);
    const float rise = function == GELU_TANH  ? gelu_tanh_slope(value)
                       : function == GELU_ERF ? gelu_erf_slope(value)
                                              : silu_slope(value);
    put(dx[i], widen(grad[i]) * rise);
  }
}

KERNEL slope_f32(const float *x, const float *grad, float *dx, i64 count, int function) {
  slope(x, grad, dx, count, function);
}
KERNEL slope_bf16(const bf16 *x, const bf16 *grad, bf16 *dx, i64 count, int function) {
  slope(x, grad, dx, count, function);
}
