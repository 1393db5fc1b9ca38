// softmax(scale Q K^T + key bias) V on tensor cores, in tiles (Dao 2023): scores stay in
// registers. A block takes 128 queries of a head, a warp 16 of them.

template <int D>
DEVICE void attention_forward(const bf16 *q, const bf16 *k, const bf16 *v, const float *bias,
                              bf16 *out, float *log_sums, const AttentionSizes &at) {
  constexpr int QUERIES = 128, KEYS = 64, THREADS = 256, TILE = KEYS * D;
  DYNAMIC_SHARED(bf16, tiles);
  SHARED float biases[2][KEYS];
  bf16 *q_tile = tiles, *k_tiles = q_tile + QUERIES * D, *v_tiles = k_tiles + 2 * TILE;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = blockIdx.x * QUERIES;
  const i64 head = blockIdx.y, batch = blockIdx.z;
  q += batch * at.q.batch + head * at.q.head;
  k += batch * at.k.batch + head * at.k.head;
  v += batch * at.v.batch + head * at.v.head;
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
  load(0);

  u32 query[D / 16][4];
  float sums[D / 8][4] = {};
  float top[2] = {-infinity(), -infinity()}, total[2] = {0.0f, 0.0f};
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
    if (tile == 0) {
      UNROLL
      for (int step = 0; step < D / 16; step++)
        load_left<D>(query[step], q_tile, warp * 16, step);
    }
    const bf16 *k_tile = k_tiles + tile % 2 * TILE, *v_tile = v_tiles + tile % 2 * TILE;
    const float *key_bias = biases[tile % 2];

    float scores[KEYS / 8][4] = {};
    UNROLL
    for (int step = 0; step < D / 16; step++) {
      UNROLL
      for (int pair = 0; pair < KEYS / 16; pair++) {
        u32 b[4];
        load_right<D>(b, k_tile, pair * 16, step);
        multiply_add(scores[2 * pair], query[step], b[0], b[1]);
        multiply_add(scores[2 * pair + 1], query[step], b[2], b[3]);
      }
    }

    // Elements 0 and 1 belong to the row lane / 4, elements 2 and 3 to that 8 below.
    float most[2] = {top[0], top[1]};
    UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
      UNROLL
      for (int e = 0; e < 4; e++) {
        scores[n][e] = scores[n][e] * scale + key_bias[n * 8 + lane % 4 * 2 + e % 2];
        most[e / 2] = fmaxf(most[e / 2], scores[n][e]);
      }
    }
    UNROLL
    for (int half = 0; half < 2; half++) {
      most[half] = fmaxf(most[half], from_lane_xor(most[half], 1));
      most[half] = fmaxf(most[half], from_lane_xor(most[half], 2));
      // A row that has seen no key yet keeps zeros.
      const float base = most[half] == -infinity() ? 0.0f : most[half];
      const float keep = power_of_two(top[half] - base);
      top[half] = most[half];
      total[half] *= keep;
      UNROLL
      for (int n = 0; n < D / 8; n++) {
        sums[n][half * 2] *= keep;
        sums[n][half * 2 + 1] *= keep;
      }
      UNROLL
      for (int n = 0; n < KEYS / 8; n++) {
        UNROLL
        for (int e = half * 2; e < half * 2 + 2; e++) {
          scores[n][e] = power_of_two(scores[n][e] - base);
          total[half] += scores[n][e];
        }
      }
    }

    UNROLL
    for (int step = 0; step < KEYS / 16; step++) {
      const u32 weights[4] = {pair_of(scores[2 * step][0], scores[2 * step][1]),
                              pair_of(scores[2 * step][2], scores[2 * step][3]),
                              pair_of(scores[2 * step + 1][0], scores[2 * step + 1][1]),
                              pair_of(scores[2 * step + 1][2], scores[2 * step + 1][3])};
      UNROLL
      for (int pair = 0; pair < D / 16; pair++) {
        u32 b[4];
        load_right_across<D>(b, v_tile, step * 16, pair);
        multiply_add(sums[2 * pair], weights, b[0], b[1]);
        multiply_add(sums[2 * pair + 1], weights, b[2], b[3]);
      }
    }
    __syncthreads();
  }

  UNROLL
  for (int half = 0; half < 2; half++) {
    total[half] += from_lane_xor(total[half], 1);
    total[half] += from_lane_xor(total[half], 2);
    const int row = first + warp * 16 + lane / 4 + half * 8;
    if (row >= at.queries) continue;
    const float share = total[half] > 0.0f ? 1.0f / total[half] : 0.0f;
    bf16 *to = out + batch * at.out.batch + head * at.out.head + row * at.out.token;
    UNROLL
    for (int n = 0; n < D / 8; n++) {
      const int column = n * 8 + lane % 4 * 2;
      if (column < at.value_width)
        *reinterpret_cast<u32 *>(to + column) =
            pair_of(sums[n][half * 2] * share, sums[n][half * 2 + 1] * share);
    }
    if (log_sums && lane % 4 == 0)
      log_sums[(batch * gridDim.y + head) * at.queries + row] =
          total[half] > 0.0f ? top[half] * LN_2 + logf(total[half]) : -infinity();
  }
}

KERNEL BOUNDS(256) attention_forward_64(const bf16 *q, const bf16 *k, const bf16 *v,
                                        const float *bias, bf16 *out, float *log_sums,
                                        AttentionSizes at) {
  attention_forward<64>(q, k, v, bias, out, log_sums, at);
}
KERNEL BOUNDS(256) attention_forward_128(const bf16 *q, const bf16 *k, const bf16 *v,
                                         const float *bias, bf16 *out, float *log_sums,
                                         AttentionSizes at) {
  attention_forward<128>(q, k, v, bias, out, log_sums, at);
}
