// Number types, reductions of a block, elementary functions.

struct bf16 {
  u16 bits;
};

/// Steps between batch elements, heads and tokens, in elements.
struct Strides {
  i64 batch, head, token;
};

DEVICE float widen(float x) { return x; }
DEVICE float widen(bf16 x) { return of_bits(static_cast<u32>(x.bits) << 16); }
DEVICE void put(float &to, float x) { to = x; }
DEVICE void put(bf16 &to, float x) { to.bits = static_cast<u16>(pair_of(x, 0.0f)); }

/// Elements that one access of 16 bytes moves.
template <typename T>
struct Wide {
  static constexpr int COUNT = 16 / sizeof(T);
};

/// 16 bytes, or one element.
template <typename T, int COUNT>
struct alignas(sizeof(T) * COUNT) Several {
  T values[COUNT];
};

DEVICE float warp_sum(float x) {
  UNROLL
  for (int mask = 16; mask > 0; mask /= 2) x += from_lane_xor(x, mask);
  return x;
}

DEVICE float warp_max(float x) {
  UNROLL
  for (int mask = 16; mask > 0; mask /= 2) x = fmaxf(x, from_lane_xor(x, mask));
  return x;
}

/// The sum over a block's threads, known to all of them; `parts` is shared, 32 long.
/// The order of the additions is fixed.
DEVICE float block_sum(float x, float *parts) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) parts[warp] = x;
  __syncthreads();
  float sum = 0.0f;
  for (int i = 0; i < warps; i++) sum += parts[i];
  return sum;
}

DEVICE float block_max(float x, float *parts) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  x = warp_max(x);
  __syncthreads();
  if (lane == 0) parts[warp] = x;
  __syncthreads();
  float most = parts[0];
  for (int i = 1; i < warps; i++) most = fmaxf(most, parts[i]);
  return most;
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEVICE float silu(float x) { return x * sigmoid(x); }
DEVICE float silu_slope(float x) {
  const float s = sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}

/// (1 + tanh u) / 2 is sigmoid(2 u).
DEVICE float gelu_tanh(float x) {
  return x * sigmoid(1.5957691216f * x * (1.0f + 0.044715f * x * x));
}
DEVICE float gelu_tanh_slope(float x) {
  const float s = sigmoid(1.5957691216f * x * (1.0f + 0.044715f * x * x));
  return s + x * s * (1.0f - s) * 1.5957691216f * (1.0f + 0.134145f * x * x);
}
DEVICE float gelu_erf(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
DEVICE float gelu_erf_slope(float x) {
  return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.3989422804f * expf(-0.5f * x * x);
}

/// The tensor's row that a row of a broadcast table belongs to; steps in rows.
DEVICE i64 table_row(i64 row, int tokens, int batch, int token) {
  return row / tokens * batch + row % tokens * token;
}

/// Where 8 elements lie in a tile of rows of `WIDTH` bf16: neighbouring rows put the
/// same column into different banks, so that a warp's matrix loads do not collide.
template <int WIDTH>
DEVICE int tile_at(int row, int chunk) {
  constexpr int CHUNKS = WIDTH / 8;
  constexpr int PER_LINE = CHUNKS >= 8 ? 1 : 8 / CHUNKS;
  constexpr int MASK = CHUNKS >= 8 ? 7 : CHUNKS - 1;
  return row * WIDTH + ((chunk ^ (row / PER_LINE & MASK)) * 8);
}

/// A 16 x 16 left operand from a tile whose rows are its rows; `row` and `step` count rows and 16s of columns.
template <int WIDTH>
DEVICE void load_left(u32 (&a)[4], const bf16 *tile, int row, int step) {
  const int lane = threadIdx.x % 32;
  load_matrices(a, tile + tile_at<WIDTH>(row + lane % 16, 2 * step + lane / 16));
}

/// A left operand from a tile whose columns are its rows: 16 columns from `column`, 16 tile rows from `row`.
template <int WIDTH>
DEVICE void load_left_across(u32 (&a)[4], const bf16 *tile, int row, int column) {
  const int lane = threadIdx.x % 32;
  load_matrices_across(
      a, tile + tile_at<WIDTH>(row + lane / 16 * 8 + lane % 8, column / 8 + lane / 8 % 2));
}

/// Two 16 x 8 right operands from a tile whose rows are their columns: 16 rows from `row`.
template <int WIDTH>
DEVICE void load_right(u32 (&b)[4], const bf16 *tile, int row, int step) {
  const int lane = threadIdx.x % 32;
  load_matrices(
      b, tile + tile_at<WIDTH>(row + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
}

/// Two 16 x 8 right operands from a tile whose rows are their rows: 16 columns from `16 pair`.
template <int WIDTH>
DEVICE void load_right_across(u32 (&b)[4], const bf16 *tile, int row, int pair) {
  const int lane = threadIdx.x % 32;
  load_matrices_across(b, tile + tile_at<WIDTH>(row + lane % 16, 2 * pair + lane / 16));
}
