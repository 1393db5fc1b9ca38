// Convolution of one group on tensor cores, as a product whose right side is gathered
// while it is read: outputs by positions, summed over taps and channels. A block takes
// 128 outputs by 128 positions, each of its 8 warps 64 by 32.

KERNEL BOUNDS(256) convolution(const bf16 *x, const bf16 *weight, const float *bias, bf16 *y,
                               ConvolutionSizes at) {
  constexpr int OUTPUTS = 128, POSITIONS = 128, DEPTH = 32, STAGES = 3, TILE = OUTPUTS * DEPTH;
  DYNAMIC_SHARED(bf16, tiles);
  bf16 *weight_tiles = tiles, *x_tiles = tiles + STAGES * TILE;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first_output = blockIdx.y * OUTPUTS, first_position = blockIdx.x * POSITIONS;
  const int positions = volume(at.output), taps = volume(at.kernel);
  const i64 batch = blockIdx.z;
  x += batch * volume(at.input) * at.channels;

  // This thread copies one chunk of two rows of each tile.
  const int chunk = threadIdx.x % 4;
  int frames[2], rows[2], columns[2];
  UNROLL
  for (int i = 0; i < 2; i++)
    position_of(first_position + threadIdx.x / 4 + i * 64, at.output, frames[i], rows[i],
                columns[i]);
  const int slices = (at.channels + DEPTH - 1) / DEPTH, steps = taps * slices;
  auto load = [&](int step) {
    const int tap = step / slices, channel = step % slices * DEPTH + chunk * 8;
    int kt, kh, kw;
    position_of(tap, at.kernel, kt, kh, kw);
    bf16 *weight_tile = weight_tiles + step % STAGES * TILE;
    bf16 *x_tile = x_tiles + step % STAGES * TILE;
    UNROLL
    for (int i = 0; i < 2; i++) {
      const int line = threadIdx.x / 4 + i * 64, output = first_output + line;
      const bool weighed = output < at.outputs && channel < at.channels;
      copy_start(weight_tile + tile_at<DEPTH>(line, chunk),
                 weighed ? weight + (static_cast<i64>(output) * taps + tap) * at.channels + channel
                         : weight,
                 weighed ? 16 : 0);
      const int from = first_position + line < positions && channel < at.channels
                           ? read_at(at, frames[i], rows[i], columns[i], kt, kh, kw)
                           : -1;
      copy_start(x_tile + tile_at<DEPTH>(line, chunk),
                 from >= 0 ? x + static_cast<i64>(from) * at.channels + channel : x,
                 from >= 0 ? 16 : 0);
    }
  };
  UNROLL
  for (int step = 0; step < STAGES - 1; step++) {
    if (step < steps) load(step);
    copy_commit();
  }

  const int warp_output = warp / 4 * 64, warp_position = warp % 4 * 32;
  float sums[4][4][4] = {};
  for (int step = 0; step < steps; step++) {
    copy_wait<STAGES - 2>();
    __syncthreads();
    if (step + STAGES - 1 < steps) load(step + STAGES - 1);
    copy_commit();
    const bf16 *weight_tile = weight_tiles + step % STAGES * TILE;
    const bf16 *x_tile = x_tiles + step % STAGES * TILE;
    UNROLL
    for (int part = 0; part < DEPTH / 16; part++) {
      u32 right[2][4];
      UNROLL
      for (int pair = 0; pair < 2; pair++)
        load_right<DEPTH>(right[pair], x_tile, warp_position + pair * 16, part);
      UNROLL
      for (int m = 0; m < 4; m++) {
        u32 left[4];
        load_left<DEPTH>(left, weight_tile, warp_output + m * 16, part);
        UNROLL
        for (int n = 0; n < 4; n++)
          multiply_add(sums[m][n], left, right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
      }
    }
  }

  UNROLL
  for (int m = 0; m < 4; m++) {
    UNROLL
    for (int half = 0; half < 2; half++) {
      const int output = first_output + warp_output + m * 16 + lane / 4 + half * 8;
      if (output >= at.outputs) continue;
      const float added = bias ? bias[output] : 0.0f;
      bf16 *to = y + (batch * at.outputs + output) * positions;
      UNROLL
      for (int n = 0; n < 4; n++) {
        UNROLL
        for (int e = 0; e < 2; e++) {
          const int position = first_position + warp_position + n * 8 + lane % 4 * 2 + e;
          if (position < positions) put(to[position], sums[m][n][half * 2 + e] + added);
        }
      }
    }
  }
}
