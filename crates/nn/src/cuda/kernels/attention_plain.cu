// Attention without tensor cores: for f32, and for heads that the tiles do not take. A warp
// takes a query (or a key), and its lanes 32 keys (or queries) at a time.

constexpr int MOST_WIDTH = 512, LANES = 32, WARPS = 4, SHARE = MOST_WIDTH / LANES;

/// The widened row of each warp.
template <typename T>
DEVICE void plain_row(float *to, const T *from, int width) {
  for (int i = threadIdx.x % LANES; i < width; i += LANES) to[i] = widen(from[i]);
}

template <typename T>
DEVICE float plain_dot(const float *row, const T *other, int width) {
  float sum = 0.0f;
  for (int i = 0; i < width; i++) sum += row[i] * widen(other[i]);
  return sum;
}

/// `sums += weight of lane j * row j` for a lane's share of the columns.
template <typename T>
DEVICE void plain_add(float (&sums)[SHARE], float weight, const T *rows, i64 stride, int first,
                      int count, int width) {
  const int lane = threadIdx.x % LANES;
  for (int j = 0; j < LANES; j++) {
    const float factor = from_lane(weight, j);
    if (first + j >= count) continue;
    const T *row = rows + (first + j) * stride;
    UNROLL
    for (int i = 0; i < SHARE; i++)
      if (lane + i * LANES < width) sums[i] += factor * widen(row[lane + i * LANES]);
  }
}

template <typename T>
DEVICE void plain_store(T *to, const float (&sums)[SHARE], float factor, int width) {
  const int lane = threadIdx.x % LANES;
  UNROLL
  for (int i = 0; i < SHARE; i++)
    if (lane + i * LANES < width) put(to[lane + i * LANES], sums[i] * factor);
}

template <typename T>
DEVICE void plain_forward(const T *q, const T *k, const T *v, const float *bias, T *out,
                          float *log_sums, const AttentionSizes &at) {
  SHARED float rows[WARPS][MOST_WIDTH];
  const int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const int row = blockIdx.x * WARPS + warp;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  if (row >= at.queries) return;
  plain_row(rows[warp], q + batch * at.q.batch + head * at.q.head + row * at.q.token, at.width);
  __syncwarp();
  k += batch * at.k.batch + head * at.k.head;
  v += batch * at.v.batch + head * at.v.head;
  float sums[SHARE] = {}, top = -infinity(), total = 0.0f;
  for (int first = 0; first < at.keys; first += LANES) {
    const int key = first + lane;
    float score = -infinity();
    if (key < at.keys)
      score = at.scale * plain_dot(rows[warp], k + key * at.k.token, at.width) +
              (bias ? bias[batch * at.keys + key] : 0.0f);
    const float most = fmaxf(top, warp_max(score)), base = most == -infinity() ? 0.0f : most;
    const float keep = expf(top - base), weight = expf(score - base);
    top = most;
    total = total * keep + warp_sum(weight);
    UNROLL
    for (int i = 0; i < SHARE; i++) sums[i] *= keep;
    plain_add(sums, weight, v, at.v.token, first, at.keys, at.value_width);
  }
  plain_store(out + batch * at.out.batch + head * at.out.head + row * at.out.token, sums,
              total > 0.0f ? 1.0f / total : 0.0f, at.value_width);
  if (log_sums && lane == 0)
    log_sums[(batch * gridDim.y + head) * at.queries + row] =
        total > 0.0f ? top + logf(total) : -infinity();
}

/// A weight and the gradient of its score, of a query and a key.
DEVICE void plain_slope(float product, float rise, float bias, float log_sum, float offset,
                        float scale, float &weight, float &slope) {
  weight = log_sum == -infinity() ? 0.0f : expf(scale * product + bias - log_sum);
  slope = scale * weight * (rise - offset);
}

template <typename T>
DEVICE void plain_backward_queries(const T *q, const T *k, const T *v, const T *grad,
                                   const float *bias, const float *log_sums, const float *offsets,
                                   T *dq, const BackwardSizes &at) {
  SHARED float rows[WARPS][MOST_WIDTH], grads[WARPS][MOST_WIDTH];
  const int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const int row = blockIdx.x * WARPS + warp;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  if (row >= at.queries) return;
  plain_row(rows[warp], q + batch * at.q.batch + head * at.q.head + row * at.q.token, at.width);
  plain_row(grads[warp], grad + batch * at.grad.batch + head * at.grad.head + row * at.grad.token,
            at.value_width);
  __syncwarp();
  k += batch * at.k.batch + head * at.k.head;
  v += batch * at.v.batch + head * at.v.head;
  const i64 line = (batch * gridDim.y + head) * at.queries + row;
  float sums[SHARE] = {};
  for (int first = 0; first < at.keys; first += LANES) {
    const int key = first + lane;
    float weight = 0.0f, slope = 0.0f;
    if (key < at.keys)
      plain_slope(plain_dot(rows[warp], k + key * at.k.token, at.width),
                  plain_dot(grads[warp], v + key * at.v.token, at.value_width),
                  bias ? bias[batch * at.keys + key] : 0.0f, log_sums[line], offsets[line],
                  at.scale, weight, slope);
    plain_add(sums, slope, k, at.k.token, first, at.keys, at.width);
  }
  plain_store(dq + batch * at.dq.batch + head * at.dq.head + row * at.dq.token, sums, 1.0f,
              at.width);
}

template <typename T>
DEVICE void plain_backward_keys(const T *q, const T *k, const T *v, const T *grad,
                                const float *bias, const float *log_sums, const float *offsets,
                                T *dk, T *dv, const BackwardSizes &at) {
  SHARED float keys[WARPS][MOST_WIDTH], values[WARPS][MOST_WIDTH];
  const int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const int key = blockIdx.x * WARPS + warp;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  if (key >= at.keys) return;
  plain_row(keys[warp], k + batch * at.k.batch + head * at.k.head + key * at.k.token, at.width);
  plain_row(values[warp], v + batch * at.v.batch + head * at.v.head + key * at.v.token,
            at.value_width);
  __syncwarp();
  q += batch * at.q.batch + head * at.q.head;
  grad += batch * at.grad.batch + head * at.grad.head;
  const i64 line = (batch * gridDim.y + head) * at.queries;
  float key_sums[SHARE] = {}, value_sums[SHARE] = {};
  for (int first = 0; first < at.queries; first += LANES) {
    const int row = first + lane;
    float weight = 0.0f, slope = 0.0f;
    if (row < at.queries)
      plain_slope(plain_dot(keys[warp], q + row * at.q.token, at.width),
                  plain_dot(values[warp], grad + row * at.grad.token, at.value_width),
                  bias ? bias[batch * at.keys + key] : 0.0f, log_sums[line + row],
                  offsets[line + row], at.scale, weight, slope);
    plain_add(value_sums, weight, grad, at.grad.token, first, at.queries, at.value_width);
    plain_add(key_sums, slope, q, at.q.token, first, at.queries, at.width);
  }
  plain_store(dk + batch * at.dk.batch + head * at.dk.head + key * at.dk.token, key_sums, 1.0f,
              at.width);
  plain_store(dv + batch * at.dv.batch + head * at.dv.head + key * at.dv.token, value_sums, 1.0f,
              at.value_width);
}

#define PLAIN_ATTENTION(NAME, T)                                                                 \
  KERNEL plain_forward_##NAME(const T *q, const T *k, const T *v, const float *bias, T *out,     \
                              float *log_sums, AttentionSizes at) {                              \
    plain_forward(q, k, v, bias, out, log_sums, at);                                             \
  }                                                                                              \
  KERNEL plain_backward_queries_##NAME(const T *q, const T *k, const T *v, const T *grad,        \
                                       const float *bias, const float *log_sums,                 \
                                       const float *offsets, T *dq, BackwardSizes at) {          \
    plain_backward_queries(q, k, v, grad, bias, log_sums, offsets, dq, at);                      \
  }                                                                                              \
  KERNEL plain_backward_keys_##NAME(const T *q, const T *k, const T *v, const T *grad,           \
                                    const float *bias, const float *log_sums,                    \
                                    const float *offsets, T *dk, T *dv, BackwardSizes at) {      \
    plain_backward_keys(q, k, v, grad, bias, log_sums, offsets, dk, dv, at);                     \
  }
PLAIN_ATTENTION(f32, float)
PLAIN_ATTENTION(bf16, bf16)
