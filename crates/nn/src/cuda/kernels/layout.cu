// Channels last: what the convolutions on tensor cores read.

/// [B, C, P] to [B, P, padded], zeros beyond the channels. Threads are 32 by 8; a block
/// turns a square of 32 positions and 32 channels.
KERNEL channels_last(const bf16 *from, bf16 *to, int channels, int padded, int positions) {
  SHARED bf16 square[32][33];
  const int column = threadIdx.x % 32, lane = threadIdx.x / 32;
  const int position = blockIdx.x * 32, channel = blockIdx.y * 32;
  from += static_cast<i64>(blockIdx.z) * channels * positions;
  to += static_cast<i64>(blockIdx.z) * positions * padded;
  for (int i = lane; i < 32; i += 8) {
    const bool inside = channel + i < channels && position + column < positions;
    square[i][column] =
        inside ? from[static_cast<i64>(channel + i) * positions + position + column] : bf16{0};
  }
  __syncthreads();
  for (int i = lane; i < 32; i += 8)
    if (position + i < positions && channel + column < padded)
      to[static_cast<i64>(position + i) * padded + channel + column] = square[column][i];
}

/// A weight [outputs, channels, taps] to [outputs, taps, padded].
KERNEL taps_first(const bf16 *from, bf16 *to, int channels, int padded, int taps, i64 count) {
  const i64 step = static_cast<i64>(gridDim.x) * blockDim.x;
  for (i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const int channel = static_cast<int>(i % padded);
    const i64 tap = i / padded % taps, output = i / padded / taps;
    to[i] = channel < channels ? from[(output * channels + channel) * taps + tap] : bf16{0};
  }
}
