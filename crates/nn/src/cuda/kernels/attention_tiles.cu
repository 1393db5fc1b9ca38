// What the kernels of attention share: sizes, and tiles of rows.

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

struct AttentionSizes {
  int queries, keys, width, value_width;
  float scale;
  Strides q, k, v, out;
};

struct BackwardSizes {
  int queries, keys, width, value_width;
  float scale;
  Strides q, k, v, grad, dq, dk, dv;
};

/// Starts to copy `ROWS` rows from `first` into a tile; rows and columns outside become zero.
template <int D, int ROWS, int THREADS>
DEVICE void load_rows(bf16 *tile, const bf16 *from, i64 stride, int first, int count, int width) {
  UNROLL
  for (int i = threadIdx.x; i < ROWS * (D / 8); i += THREADS) {
    const int row = i / (D / 8), chunk = i % (D / 8);
    const bool inside = first + row < count && chunk * 8 < width;
    const bf16 *at = inside ? from + (first + row) * stride + chunk * 8 : from;
    copy_start(tile + tile_at<D>(row, chunk), at, inside ? 16 : 0);
  }
}

/// The bias of a tile's keys in powers of two; minus infinity beyond the last key.
template <int KEYS>
DEVICE void load_bias(float *tile, const float *bias, int first, int keys) {
  if (threadIdx.x < KEYS) {
    const int key = first + threadIdx.x;
    tile[threadIdx.x] = key < keys ? (bias ? bias[key] * LOG2_E : 0.0f) : -infinity();
  }
}
