// Convolution without tensor cores: for f32, and for several groups.

/// A thread takes an output position; the grid is blocks of positions by outputs by samples.
template <typename T>
DEVICE void plain_convolution(const T *x, const T *weight, const float *bias, T *y,
                              const ConvolutionSizes &at) {
  const int position = blockIdx.x * blockDim.x + threadIdx.x, output = blockIdx.y;
  const i64 batch = blockIdx.z;
  const int positions = volume(at.output), inputs = volume(at.input), taps = volume(at.kernel);
  if (position >= positions) return;
  int frame, row, column;
  position_of(position, at.output, frame, row, column);
  const int group = output / (at.outputs / at.groups);
  x += (batch * at.groups + group) * at.channels * inputs;
  weight += static_cast<i64>(output) * at.channels * taps;
  float sum = 0.0f;
  int tap = 0;
  for (int kt = 0; kt < at.kernel[0]; kt++)
    for (int kh = 0; kh < at.kernel[1]; kh++)
      for (int kw = 0; kw < at.kernel[2]; kw++, tap++) {
        const int from = read_at(at, frame, row, column, kt, kh, kw);
        if (from < 0) continue;
        for (int c = 0; c < at.channels; c++)
          sum += widen(x[static_cast<i64>(c) * inputs + from]) * widen(weight[c * taps + tap]);
      }
  put(y[(batch * at.outputs + output) * positions + position], sum + (bias ? bias[output] : 0.0f));
}
KERNEL plain_convolution_f32(const float *x, const float *weight, const float *bias, float *y,
                             ConvolutionSizes at) {
  plain_convolution(x, weight, bias, y, at);
}
KERNEL plain_convolution_bf16(const bf16 *x, const bf16 *weight, const float *bias, bf16 *y,
                              ConvolutionSizes at) {
  plain_convolution(x, weight, bias, y, at);
}

/// The weight's gradient, in f32: a block takes an element; the grid is taps by a group's
/// channels by outputs.
template <typename T>
DEVICE void plain_convolution_weight(const T *x, const T *grad, float *to,
                                     const ConvolutionSizes &at) {
  SHARED float parts[32];
  const int tap = blockIdx.x, channel = blockIdx.y, output = blockIdx.z;
  const int positions = volume(at.output), inputs = volume(at.input), taps = volume(at.kernel);
  const int group = output / (at.outputs / at.groups);
  int kt, kh, kw;
  position_of(tap, at.kernel, kt, kh, kw);
  float sum = 0.0f;
  for (i64 b = 0; b < at.batch; b++)
    for (int p = threadIdx.x; p < positions; p += blockDim.x) {
      int frame, row, column;
      position_of(p, at.output, frame, row, column);
      const int from = read_at(at, frame, row, column, kt, kh, kw);
      if (from < 0) continue;
      const i64 line = (b * at.groups + group) * at.channels + channel;
      sum += widen(x[line * inputs + from]) * widen(grad[(b * at.outputs + output) * positions + p]);
    }
  sum = block_sum(sum, parts);
  if (threadIdx.x == 0)
    to[(static_cast<i64>(output) * at.channels + channel) * taps + tap] = sum;
}
KERNEL plain_convolution_weight_f32(const float *x, const float *grad, float *to,
                                    ConvolutionSizes at) {
  plain_convolution_weight(x, grad, to, at);
}
KERNEL plain_convolution_weight_bf16(const bf16 *x, const bf16 *grad, float *to,
                                     ConvolutionSizes at) {
  plain_convolution_weight(x, grad, to, at);
}
