// The gradient of attention on tensor cores: weights are computed again from the
// logarithms of the rows' sums. One kernel goes over keys for the queries' gradient, one
// over queries for those of keys and values, so that no sum depends on an order of arrival.

/// sum(out * grad) of every row, [B, H, Nq]; a warp takes a row.
template <typename T>
DEVICE void attention_offsets(const T *out, const T *grad, float *offsets, int queries, int width,
                              Strides out_at, Strides grad_at) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  const int there = row < queries ? row : queries - 1;
  out += batch * out_at.batch + head * out_at.head + there * out_at.token;
  grad += batch * grad_at.batch + head * grad_at.head + there * grad_at.token;
  float sum = 0.0f;
  for (int i = lane; i < width; i += 32) sum += widen(out[i]) * widen(grad[i]);
  sum = warp_sum(sum);
  if (lane == 0 && row < queries) offsets[(batch * gridDim.y + head) * queries + row] = sum;
}
KERNEL attention_offsets_f32(const float *out, const float *grad, float *offsets, int queries,
                             int width, Strides out_at, Strides grad_at) {
  attention_offsets(out, grad, offsets, queries, width, out_at, grad_at);
}
KERNEL attention_offsets_bf16(const bf16 *out, const bf16 *grad, float *offsets, int queries,
                              int width, Strides out_at, Strides grad_at) {
  attention_offsets(out, grad, offsets, queries, width, out_at, grad_at);
}

/// Two neighbouring 16 x 8 results as the left operand of the next product.
DEVICE void as_left(u32 (&a)[4], const float (&low)[4], const float (&high)[4]) {
  a[0] = pair_of(low[0], low[1]);
  a[1] = pair_of(low[2], low[3]);
  a[2] = pair_of(high[0], high[1]);
  a[3] = pair_of(high[2], high[3]);
}

/// Writes a warp's 16 rows.
template <int D>
DEVICE void store_rows(bf16 *to, i64 stride, const float (&sums)[D / 8][4], int first, int count,
                       int width) {
  const int lane = threadIdx.x % 32;
  UNROLL
  for (int half = 0; half < 2; half++) {
    const int row = first + lane / 4 + half * 8;
    if (row >= count) continue;
    UNROLL
    for (int n = 0; n < D / 8; n++) {
      const int column = n * 8 + lane % 4 * 2;
      if (column < width)
        *reinterpret_cast<u32 *>(to + row * stride + column) =
            pair_of(sums[n][half * 2], sums[n][half * 2 + 1]);
    }
  }
}

/// The products of a warp's 16 rows of two tiles with `COLUMNS` rows of two others: queries with
/// keys gives weights, the result's gradient with values gives their slopes.
template <int D, int COLUMNS>
DEVICE void two_products(float (&a)[COLUMNS / 8][4], float (&b)[COLUMNS / 8][4],
                         const bf16 *a_left, const bf16 *b_left, const bf16 *a_right,
                         const bf16 *b_right, int warp) {
  UNROLL
  for (int step = 0; step < D / 16; step++) {
    u32 a_rows[4], b_rows[4];
    load_left<D>(a_rows, a_left, warp * 16, step);
    load_left<D>(b_rows, b_left, warp * 16, step);
    UNROLL
    for (int pair = 0; pair < COLUMNS / 16; pair++) {
      u32 right[4];
      load_right<D>(right, a_right, pair * 16, step);
      multiply_add(a[2 * pair], a_rows, right[0], right[1]);
      multiply_add(a[2 * pair + 1], a_rows, right[2], right[3]);
      load_right<D>(right, b_right, pair * 16, step);
      multiply_add(b[2 * pair], b_rows, right[0], right[1]);
      multiply_add(b[2 * pair + 1], b_rows, right[2], right[3]);
    }
  }
}

/// A row's logarithm of sums in powers of two; a row outside, or one that sees no key, gets
/// weights of zero by an infinite one.
DEVICE float row_sum(const float *log_sums, int row, int rows) {
  const float value = row < rows ? log_sums[row] * LOG2_E : -infinity();
  return value == -infinity() ? infinity() : value;
}

/// A block takes 64 queries of a head, a warp 16 of them.
template <int D>
DEVICE void attention_backward_queries(const bf16 *q, const bf16 *k, const bf16 *v,
                                       const bf16 *grad, const float *bias, const float *log_sums,
                                       const float *offsets, bf16 *dq, const BackwardSizes &at) {
  constexpr int QUERIES = 64, KEYS = 64, THREADS = 128, TILE = KEYS * D;
  DYNAMIC_SHARED(bf16, tiles);
  SHARED float biases[2][KEYS];
  bf16 *q_tile = tiles, *grad_tile = q_tile + QUERIES * D;
  bf16 *k_tiles = grad_tile + QUERIES * D, *v_tiles = k_tiles + 2 * TILE;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = blockIdx.x * QUERIES;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  q += batch * at.q.batch + head * at.q.head;
  k += batch * at.k.batch + head * at.k.head;
  v += batch * at.v.batch + head * at.v.head;
  grad += batch * at.grad.batch + head * at.grad.head;
  log_sums += (batch * gridDim.y + head) * at.queries;
  offsets += (batch * gridDim.y + head) * at.queries;
  if (bias) bias += batch * at.keys;

  auto load = [&](int tile) {
    const int buffer = tile % 2;
    load_rows<D, KEYS, THREADS>(k_tiles + buffer * TILE, k, at.k.token, tile * KEYS, at.keys,
                                at.width);
    load_rows<D, KEYS, THREADS>(v_tiles + buffer * TILE, v, at.v.token, tile * KEYS, at.keys,
                                at.value_width);
    load_bias<KEYS>(biases[buffer], bias, tile * KEYS, at.keys);
    copy_commit();
  };
  load_rows<D, QUERIES, THREADS>(q_tile, q, at.q.token, first, at.queries, at.width);
  load_rows<D, QUERIES, THREADS>(grad_tile, grad, at.grad.token, first, at.queries,
                                 at.value_width);
  load(0);

  float log_sum[2], offset[2];
  UNROLL
  for (int half = 0; half < 2; half++) {
    const int row = first + warp * 16 + lane / 4 + half * 8;
    log_sum[half] = row_sum(log_sums, row, at.queries);
    offset[half] = row < at.queries ? offsets[row] : 0.0f;
  }
  float sums[D / 8][4] = {};
  const float scale = at.scale * LOG2_E;
  const int tiles_count = (at.keys + KEYS - 1) / KEYS;
  for (int tile = 0; tile < tiles_count; tile++) {
    if (tile + 1 < tiles_count) {
      load(tile + 1);
      copy_wait<1>();
    } else {
      copy_wait<0>();
    }
    __syncthreads();
    const bf16 *k_tile = k_tiles + tile % 2 * TILE, *v_tile = v_tiles + tile % 2 * TILE;
    const float *key_bias = biases[tile % 2];
    float weights[KEYS / 8][4] = {}, slopes[KEYS / 8][4] = {};
    two_products<D, KEYS>(weights, slopes, q_tile, grad_tile, k_tile, v_tile, warp);
    UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
      UNROLL
      for (int e = 0; e < 4; e++) {
        const float bias_here = key_bias[n * 8 + lane % 4 * 2 + e % 2];
        const float weight = power_of_two(weights[n][e] * scale + bias_here - log_sum[e / 2]);
        slopes[n][e] = at.scale * weight * (slopes[n][e] - offset[e / 2]);
      }
    }
    UNROLL
    for (int step = 0; step < KEYS / 16; step++) {
      u32 left[4];
      as_left(left, slopes[2 * step], slopes[2 * step + 1]);
      UNROLL
      for (int pair = 0; pair < D / 16; pair++) {
        u32 b[4];
        load_right_across<D>(b, k_tile, step * 16, pair);
        multiply_add(sums[2 * pair], left, b[0], b[1]);
        multiply_add(sums[2 * pair + 1], left, b[2], b[3]);
      }
    }
    __syncthreads();
  }
  store_rows<D>(dq + batch * at.dq.batch + head * at.dq.head, at.dq.token, sums,
                first + warp * 16, at.queries, at.width);
}

/// A block takes 64 keys of a head, a warp 16 of them; rows of products are keys here.
template <int D>
DEVICE void attention_backward_keys(const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *grad,
                                    const float *bias, const float *log_sums, const float *offsets,
                                    bf16 *dk, bf16 *dv, const BackwardSizes &at) {
  constexpr int QUERIES = 32, KEYS = 64, THREADS = 128, TILE = QUERIES * D;
  DYNAMIC_SHARED(bf16, tiles);
  SHARED float row_sums[2][QUERIES], row_offsets[2][QUERIES];
  bf16 *k_tile = tiles, *v_tile = k_tile + KEYS * D;
  bf16 *q_tiles = v_tile + KEYS * D, *grad_tiles = q_tiles + 2 * TILE;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = blockIdx.x * KEYS;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  q += batch * at.q.batch + head * at.q.head;
  k += batch * at.k.batch + head * at.k.head;
  v += batch * at.v.batch + head * at.v.head;
  grad += batch * at.grad.batch + head * at.grad.head;
  log_sums += (batch * gridDim.y + head) * at.queries;
  offsets += (batch * gridDim.y + head) * at.queries;
  if (bias) bias += batch * at.keys;

  auto load = [&](int tile) {
    const int buffer = tile % 2;
    load_rows<D, QUERIES, THREADS>(q_tiles + buffer * TILE, q, at.q.token, tile * QUERIES,
                                   at.queries, at.width);
    load_rows<D, QUERIES, THREADS>(grad_tiles + buffer * TILE, grad, at.grad.token,
                                   tile * QUERIES, at.queries, at.value_width);
    if (threadIdx.x < QUERIES) {
      const int row = tile * QUERIES + threadIdx.x;
      row_sums[buffer][threadIdx.x] = row_sum(log_sums, row, at.queries);
      row_offsets[buffer][threadIdx.x] = row < at.queries ? offsets[row] : 0.0f;
    }
    copy_commit();
  };
  load_rows<D, KEYS, THREADS>(k_tile, k, at.k.token, first, at.keys, at.width);
  load_rows<D, KEYS, THREADS>(v_tile, v, at.v.token, first, at.keys, at.value_width);
  load(0);

  float key_bias[2];
  UNROLL
  for (int half = 0; half < 2; half++) {
    const int key = first + warp * 16 + lane / 4 + half * 8;
    key_bias[half] = key < at.keys ? (bias ? bias[key] * LOG2_E : 0.0f) : -infinity();
  }
  float key_sums[D / 8][4] = {}, value_sums[D / 8][4] = {};
  const float scale = at.scale * LOG2_E;
  const int tiles_count = (at.queries + QUERIES - 1) / QUERIES;
  for (int tile = 0; tile < tiles_count; tile++) {
    if (tile + 1 < tiles_count) {
      load(tile + 1);
      copy_wait<1>();
    } else {
      copy_wait<0>();
    }
    __syncthreads();
    const int buffer = tile % 2;
    const bf16 *q_tile = q_tiles + buffer * TILE, *grad_tile = grad_tiles + buffer * TILE;
    float weights[QUERIES / 8][4] = {}, slopes[QUERIES / 8][4] = {};
    two_products<D, QUERIES>(weights, slopes, k_tile, v_tile, q_tile, grad_tile, warp);
    UNROLL
    for (int n = 0; n < QUERIES / 8; n++) {
      UNROLL
      for (int e = 0; e < 4; e++) {
        const int row = n * 8 + lane % 4 * 2 + e % 2;
        const float weight =
            power_of_two(weights[n][e] * scale + key_bias[e / 2] - row_sums[buffer][row]);
        weights[n][e] = weight;
        slopes[n][e] = at.scale * weight * (slopes[n][e] - row_offsets[buffer][row]);
      }
    }
    UNROLL
    for (int step = 0; step < QUERIES / 16; step++) {
      u32 weight[4], slope[4];
      as_left(weight, weights[2 * step], weights[2 * step + 1]);
      as_left(slope, slopes[2 * step], slopes[2 * step + 1]);
      UNROLL
      for (int pair = 0; pair < D / 16; pair++) {
        u32 b[4];
        load_right_across<D>(b, grad_tile, step * 16, pair);
        multiply_add(value_sums[2 * pair], weight, b[0], b[1]);
        multiply_add(value_sums[2 * pair + 1], weight, b[2], b[3]);
        load_right_across<D>(b, q_tile, step * 16, pair);
        multiply_add(key_sums[2 * pair], slope, b[0], b[1]);
        multiply_add(key_sums[2 * pair + 1], slope, b[2], b[3]);
      }
    }
    __syncthreads();
  }
  store_rows<D>(dk + batch * at.dk.batch + head * at.dk.head, at.dk.token, key_sums,
                first + warp * 16, at.keys, at.width);
  store_rows<D>(dv + batch * at.dv.batch + head * at.dv.head, at.dv.token, value_sums,
                first + warp * 16, at.keys, at.value_width);
}

#define ATTENTION_BACKWARD(D)                                                                    \
  KERNEL BOUNDS(128) attention_backward_queries_##D(                                             \
      const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *grad, const float *bias,          \
      const float *log_sums, const float *offsets, bf16 *dq, BackwardSizes at) {                 \
    attention_backward_queries<D>(q, k, v, grad, bias, log_sums, offsets, dq, at);               \
  }                                                                                              \
  KERNEL BOUNDS(128) attention_backward_keys_##D(                                                \
      const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *grad, const float *bias,          \
      const float *log_sums, const float *offsets, bf16 *dk, bf16 *dv, BackwardSizes at) {       \
    attention_backward_keys<D>(q, k, v, grad, bias, log_sums, offsets, dk, dv, at);              \
  }
ATTENTION_BACKWARD(64)
ATTENTION_BACKWARD(128)
