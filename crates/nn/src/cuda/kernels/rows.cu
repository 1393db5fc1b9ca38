// Rows of [.., width]: y = normalised(x) * (offset + factor) + summand, and its gradient.
// A block takes a row.

constexpr int PLAIN = 0, RMS = 1, LAYER = 2;

struct RowTables {
  const float *factor, *summand;
  int tokens, factor_batch, factor_token, summand_batch, summand_token;
};

/// Mean and 1 / deviation of the row in `wide`, which all threads have written.
DEVICE void row_statistics(const float *wide, int width, int kind, float eps, float *parts,
                           float &mean, float &scale) {
  mean = 0.0f;
  scale = 1.0f;
  if (kind == PLAIN) return;
  if (kind == LAYER) {
    float sum = 0.0f;
    for (int i = threadIdx.x; i < width; i += blockDim.x) sum += wide[i];
    mean = block_sum(sum, parts) / width;
  }
  float squares = 0.0f;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    squares += (wide[i] - mean) * (wide[i] - mean);
  scale = 1.0f / sqrtf(block_sum(squares, parts) / width + eps);
}

template <typename T, int COUNT>
DEVICE void normalise_row(const T *x, T *y, const RowTables &tables, int width, int kind,
                          float eps, float offset) {
  DYNAMIC_SHARED(float, wide);
  SHARED float parts[32];
  using Few = Several<T, COUNT>;
  const i64 row = blockIdx.x;
  const Few *from = reinterpret_cast<const Few *>(x + row * width);
  Few *to = reinterpret_cast<Few *>(y + row * width);
  for (int i = threadIdx.x; i < width / COUNT; i += blockDim.x) {
    const Few few = from[i];
    UNROLL
    for (int j = 0; j < COUNT; j++) wide[i * COUNT + j] = widen(few.values[j]);
  }
  __syncthreads();
  float mean, scale;
  row_statistics(wide, width, kind, eps, parts, mean, scale);
  const float *factor = nullptr, *summand = nullptr;
  if (tables.factor)
    factor = tables.factor +
             table_row(row, tables.tokens, tables.factor_batch, tables.factor_token) * width;
  if (tables.summand)
    summand = tables.summand +
              table_row(row, tables.tokens, tables.summand_batch, tables.summand_token) * width;
  for (int i = threadIdx.x; i < width / COUNT; i += blockDim.x) {
    Few few;
    UNROLL
    for (int j = 0; j < COUNT; j++) {
      const int at = i * COUNT + j;
      float value = (wide[at] - mean) * scale;
      if (factor) value *= offset + factor[at];
      if (summand) value += summand[at];
      put(few.values[j], value);
    }
    to[i] = few;
  }
}

template <typename T>
DEVICE void normalise(const T *x, T *y, const RowTables &tables, int width, int kind, float eps,
                      float offset, int aligned) {
  if (aligned)
    normalise_row<T, Wide<T>::COUNT>(x, y, tables, width, kind, eps, offset);
  else
    normalise_row<T, 1>(x, y, tables, width, kind, eps, offset);
}

KERNEL normalise_f32(const float *x, float *y, RowTables tables, int width, int kind, float eps,
                     float offset, int aligned) {
  normalise(x, y, tables, width, kind, eps, offset, aligned);
}
KERNEL normalise_bf16(const bf16 *x, bf16 *y, RowTables tables, int width, int kind, float eps,
                      float offset, int aligned) {
  normalise(x, y, tables, width, kind, eps, offset, aligned);
}

/// The gradient of x, and grad * normalised(x) where `products` is given, of which the
/// factor's gradient is the sum.
template <typename T>
DEVICE void normalise_backward(const T *x, const T *grad, T *dx, float *products,
                               const RowTables &tables, int width, int kind, float eps,
                               float offset) {
  DYNAMIC_SHARED(float, wide);
  SHARED float parts[32];
  const i64 row = blockIdx.x;
  x += row * width, grad += row * width, dx += row * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) wide[i] = widen(x[i]);
  __syncthreads();
  float mean, scale;
  row_statistics(wide, width, kind, eps, parts, mean, scale);
  const float *factor = nullptr;
  if (tables.factor)
    factor = tables.factor +
             table_row(row, tables.tokens, tables.factor_batch, tables.factor_token) * width;
  float level = 0.0f, tilt = 0.0f;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float normal = (wide[i] - mean) * scale, g = widen(grad[i]);
    const float slope = factor ? g * (offset + factor[i]) : g;
    if (products) products[row * width + i] = normal * g;
    level += slope;
    tilt += slope * normal;
  }
  if (kind == PLAIN) {
    level = tilt = 0.0f;
  } else {
    level = kind == LAYER ? block_sum(level, parts) / width : 0.0f;
    tilt = block_sum(tilt, parts) / width;
  }
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float normal = (wide[i] - mean) * scale, g = widen(grad[i]);
    const float slope = factor ? g * (offset + factor[i]) : g;
    put(dx[i], scale * (slope - level - normal * tilt));
  }
}

KERNEL normalise_backward_f32(const float *x, const float *grad, float *dx, float *products,
                              RowTables tables, int width, int kind, float eps, float offset) {
  normalise_backward(x, grad, dx, products, tables, width, kind, eps, offset);
}
KERNEL normalise_backward_bf16(const bf16 *x, const bf16 *grad, bf16 *dx, float *products,
                               RowTables tables, int width, int kind, float eps, float offset) {
  normalise_backward(x, grad, dx, products, tables, width, kind, eps, offset);
}
