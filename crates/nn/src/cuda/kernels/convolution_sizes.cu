// What the kernels of convolution share: sizes, and where an output position reads.

/// Axes in the order frames, rows, columns; `channels` are a group's in the plain kernels,
/// and padded to a multiple of 8 in those on tensor cores.
struct ConvolutionSizes {
  int batch, channels, outputs, groups;
  int input[3], kernel[3], output[3], stride[3], dilation[3], padding[3];
  /// Frames before the first and behind the last are copies of these.
  int replicate;
};

DEVICE int volume(const int (&sizes)[3]) { return sizes[0] * sizes[1] * sizes[2]; }

/// The input position that a tap of an output position reads, or -1 for a zero.
DEVICE int read_at(const ConvolutionSizes &at, int frame, int row, int column, int kt, int kh,
                   int kw) {
  int t = frame * at.stride[0] - at.padding[0] + kt * at.dilation[0];
  const int y = row * at.stride[1] - at.padding[1] + kh * at.dilation[1];
  const int x = column * at.stride[2] - at.padding[2] + kw * at.dilation[2];
  if (at.replicate) t = t < 0 ? 0 : (t >= at.input[0] ? at.input[0] - 1 : t);
  if (t < 0 || t >= at.input[0] || y < 0 || y >= at.input[1] || x < 0 || x >= at.input[2])
    return -1;
  return (t * at.input[1] + y) * at.input[2] + x;
}

DEVICE void position_of(int index, const int (&sizes)[3], int &frame, int &row, int &column) {
  column = index % sizes[2];
  row = index / sizes[2] % sizes[1];
  frame = index / sizes[2] / sizes[1];
}
