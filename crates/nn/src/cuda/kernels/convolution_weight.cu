// The gradient of a convolution's weight on tensor cores: outputs by channels for one tap,
// summed over positions; both sides are channels last. A block takes 128 outputs by 64
// channels of a part of the positions; `convolution`'s sizes, of one group.

KERNEL BOUNDS(256) convolution_weight(const bf16 *x, const bf16 *grad, float *parts,
                                      ConvolutionSizes at, int padded_outputs, int weight_channels,
                                      int part) {
  constexpr int OUTPUTS = 128, CHANNELS = 64, DEPTH = 32, STAGES = 3;
  constexpr int GRAD_TILE = DEPTH * OUTPUTS, X_TILE = DEPTH * CHANNELS;
  DYNAMIC_SHARED(bf16, tiles);
  bf16 *grad_tiles = tiles, *x_tiles = tiles + STAGES * GRAD_TILE;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int across = (at.channels + CHANNELS - 1) / CHANNELS;
  const int first_output = blockIdx.x / across * OUTPUTS;
  const int first_channel = blockIdx.x % across * CHANNELS;
  const int tap = blockIdx.y, taps = volume(at.kernel);
  const int positions = volume(at.output), inputs = volume(at.input);
  const int all = at.batch * positions, first = blockIdx.z * part;
  const int end = first + part < all ? first + part : all;
  int kt, kh, kw;
  position_of(tap, at.kernel, kt, kh, kw);

  auto load = [&](int step) {
    bf16 *grad_tile = grad_tiles + step % STAGES * GRAD_TILE;
    bf16 *x_tile = x_tiles + step % STAGES * X_TILE;
    UNROLL
    for (int i = 0; i < 2; i++) {
      const int row = threadIdx.x / 16 + i * 16, chunk = threadIdx.x % 16;
      const int position = first + step * DEPTH + row, output = first_output + chunk * 8;
      const bool inside = position < end && output < padded_outputs;
      copy_start(grad_tile + tile_at<OUTPUTS>(row, chunk),
                 inside ? grad + static_cast<i64>(position) * padded_outputs + output : grad,
                 inside ? 16 : 0);
    }
    const int row = threadIdx.x / 8, chunk = threadIdx.x % 8;
    const int position = first + step * DEPTH + row, channel = first_channel + chunk * 8;
    int from = -1;
    if (position < end && channel < at.channels) {
      int frame, line, column;
      position_of(position % positions, at.output, frame, line, column);
      from = read_at(at, frame, line, column, kt, kh, kw);
    }
    const i64 sample = static_cast<i64>(position / positions) * inputs;
    copy_start(x_tile + tile_at<CHANNELS>(row, chunk),
               from >= 0 ? x + (sample + from) * at.channels + channel : x, from >= 0 ? 16 : 0);
  };
  const int steps = (end - first + DEPTH - 1) / DEPTH;
  UNROLL
  for (int step = 0; step < STAGES - 1; step++) {
    if (step < steps) load(step);
    copy_commit();
  }

  const int warp_output = warp / 2 * 32, warp_channel = warp % 2 * 32;
  float sums[2][4][4] = {};
  for (int step = 0; step < steps; step++) {
    copy_wait<STAGES - 2>();
    __syncthreads();
    if (step + STAGES - 1 < steps) load(step + STAGES - 1);
    copy_commit();
    const bf16 *grad_tile = grad_tiles + step % STAGES * GRAD_TILE;
    const bf16 *x_tile = x_tiles + step % STAGES * X_TILE;
    UNROLL
    for (int half = 0; half < DEPTH / 16; half++) {
      u32 right[2][4];
      UNROLL
      for (int pair = 0; pair < 2; pair++)
        load_right_across<CHANNELS>(right[pair], x_tile, half * 16, warp_channel / 16 + pair);
      UNROLL
      for (int m = 0; m < 2; m++) {
        u32 left[4];
        load_left_across<OUTPUTS>(left, grad_tile, half * 16, warp_output + m * 16);
        UNROLL
        for (int n = 0; n < 4; n++)
          multiply_add(sums[m][n], left, right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
      }
    }
  }

  // The weight is [outputs, channels, taps].
  float *to = parts + static_cast<i64>(blockIdx.z) * at.outputs * weight_channels * taps;
  UNROLL
  for (int m = 0; m < 2; m++) {
    UNROLL
    for (int n = 0; n < 4; n++) {
      UNROLL
      for (int e = 0; e < 4; e++) {
        const int output = first_output + warp_output + m * 16 + lane / 4 + e / 2 * 8;
        const int channel = first_channel + warp_channel + n * 8 + lane % 4 * 2 + e % 2;
        if (output < at.outputs && channel < weight_channels)
          to[(static_cast<i64>(output) * weight_channels + channel) * taps + tap] = sums[m][n][e];
      }
    }
  }
}
