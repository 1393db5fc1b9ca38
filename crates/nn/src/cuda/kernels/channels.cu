// Normalisation of [B, C, positions]: over the channels of each position, or over groups
// of channels and all positions; then per channel y * (offset + factor) + summand, then
// perhaps SiLU.

struct Channels {
  int batch, channels, positions, groups;
  const float *factor, *summand;
  /// Rows of the tables: 1, or one a sample.
  int rows;
  float offset, eps;
  int silu;
};

DEVICE void channel_affine(const Channels &at, int batch, int channel, float &factor,
                           float &summand) {
  const int row = at.rows > 1 ? batch * at.channels : 0;
  factor = at.factor ? at.offset + at.factor[row + channel] : 1.0f;
  summand = at.factor ? at.summand[row + channel] : 0.0f;
}

/// 1 / sqrt(mean square over channels + eps) of every position, [B, positions]. Threads
/// are 32 positions by 8 lanes of channels.
template <typename T>
DEVICE void position_scales(const T *x, float *scales, const Channels &at) {
  SHARED float parts[8][32];
  const int position = blockIdx.x * 32 + threadIdx.x % 32, lane = threadIdx.x / 32;
  const i64 batch = blockIdx.y;
  x += batch * at.channels * at.positions;
  float sum = 0.0f;
  if (position < at.positions)
    for (int c = lane; c < at.channels; c += 8) {
      const float value = widen(x[static_cast<i64>(c) * at.positions + position]);
      sum += value * value;
    }
  parts[lane][threadIdx.x % 32] = sum;
  __syncthreads();
  if (lane == 0 && position < at.positions) {
    for (int i = 1; i < 8; i++) sum += parts[i][threadIdx.x];
    scales[batch * at.positions + position] = 1.0f / sqrtf(sum / at.channels + at.eps);
  }
}
KERNEL position_scales_f32(const float *x, float *scales, Channels at) {
  position_scales(x, scales, at);
}
KERNEL position_scales_bf16(const bf16 *x, float *scales, Channels at) {
  position_scales(x, scales, at);
}

/// Count, mean and sum of squares around it of a part of a group, three numbers a part.
/// The grid is parts by (sample, group).
template <typename T>
DEVICE void group_parts(const T *x, float *moments, const Channels &at, int part) {
  SHARED float sums[32];
  const i64 size = static_cast<i64>(at.channels / at.groups) * at.positions;
  const i64 first = static_cast<i64>(blockIdx.x) * part;
  const i64 end = first + part < size ? first + part : size;
  x += blockIdx.y * size;
  float sum = 0.0f;
  for (i64 i = first + threadIdx.x; i < end; i += blockDim.x) sum += widen(x[i]);
  const float count = static_cast<float>(end - first), mean = block_sum(sum, sums) / count;
  float around = 0.0f;
  for (i64 i = first + threadIdx.x; i < end; i += blockDim.x) {
    const float apart = widen(x[i]) - mean;
    around += apart * apart;
  }
  around = block_sum(around, sums);
  if (threadIdx.x == 0) {
    float *to = moments + (static_cast<i64>(blockIdx.y) * gridDim.x + blockIdx.x) * 3;
    to[0] = count, to[1] = mean, to[2] = around;
  }
}
KERNEL group_parts_f32(const float *x, float *moments, Channels at, int part) {
  group_parts(x, moments, at, part);
}
KERNEL group_parts_bf16(const bf16 *x, float *moments, Channels at, int part) {
  group_parts(x, moments, at, part);
}

/// Joins a group's parts in order (Chan et al. 1983): mean and 1 / deviation of each group.
KERNEL join_parts(const float *moments, float *statistics, int parts, int groups, float eps) {
  const int group = blockIdx.x * blockDim.x + threadIdx.x;
  if (group >= groups) return;
  moments += static_cast<i64>(group) * parts * 3;
  double count = 0.0, mean = 0.0, squares = 0.0;
  for (int i = 0; i < parts; i++) {
    const double n = moments[i * 3], apart = moments[i * 3 + 1] - mean;
    squares += moments[i * 3 + 2] + apart * apart * count * n / (count + n);
    mean += apart * n / (count + n);
    count += n;
  }
  statistics[group * 2] = static_cast<float>(mean);
  statistics[group * 2 + 1] = static_cast<float>(1.0 / sqrt(squares / count + eps));
}

/// Mean and scale of an element: of its position (`scales`) or of its group (`statistics`).
DEVICE void element_statistics(const Channels &at, const float *scales, const float *statistics,
                               int batch, int channel, int position, float &mean, float &scale) {
  if (scales) {
    mean = 0.0f;
    scale = scales[static_cast<i64>(batch) * at.positions + position];
  } else {
    const int group = batch * at.groups + channel / (at.channels / at.groups);
    mean = statistics[group * 2];
    scale = statistics[group * 2 + 1];
  }
}

/// The grid is blocks of positions by channels by samples.
template <typename T>
DEVICE void channel_norm(const T *x, T *y, const float *scales, const float *statistics,
                         const Channels &at) {
  const int position = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y, b = blockIdx.z;
  if (position >= at.positions) return;
  float factor, summand, mean, scale;
  channel_affine(at, b, c, factor, summand);
  element_statistics(at, scales, statistics, b, c, position, mean, scale);
  const i64 i = (static_cast<i64>(b) * at.channels + c) * at.positions + position;
  const float value = (widen(x[i]) - mean) * scale * factor + summand;
  put(y[i], at.silu ? silu(value) : value);
}
KERNEL channel_norm_f32(const float *x, float *y, const float *scales, const float *statistics,
                        Channels at) {
  channel_norm(x, y, scales, statistics, at);
}
KERNEL channel_norm_bf16(const bf16 *x, bf16 *y, const float *scales, const float *statistics,
                         Channels at) {
  channel_norm(x, y, scales, statistics, at);
}

/// An element's normalised value, and the gradient of what the affine map gave.
template <typename T>
DEVICE void channel_slope(const Channels &at, const float *scales, const float *statistics, T x,
                          T grad, int b, int c, int position, float factor, float summand,
                          float &normal, float &slope, float &scale) {
  float mean;
  element_statistics(at, scales, statistics, b, c, position, mean, scale);
  normal = (widen(x) - mean) * scale;
  slope = widen(grad) * (at.silu ? silu_slope(normal * factor + summand) : 1.0f);
}

/// Sums over a channel's positions of slope * normal and of slope, [2, B, C]. A block takes a channel.
template <typename T>
DEVICE void channel_sums(const T *x, const T *grad, float *sums, const float *scales,
                         const float *statistics, const Channels &at) {
  SHARED float parts[32];
  const int c = blockIdx.x, b = blockIdx.y;
  float factor, summand, products = 0.0f, slopes = 0.0f;
  channel_affine(at, b, c, factor, summand);
  const i64 first = (static_cast<i64>(b) * at.channels + c) * at.positions;
  for (int p = threadIdx.x; p < at.positions; p += blockDim.x) {
    float normal, slope, scale;
    channel_slope(at, scales, statistics, x[first + p], grad[first + p], b, c, p, factor, summand,
                  normal, slope, scale);
    products += slope * normal;
    slopes += slope;
  }
  products = block_sum(products, parts);
  slopes = block_sum(slopes, parts);
  if (threadIdx.x == 0) {
    sums[b * at.channels + c] = products;
    sums[(at.batch + b) * at.channels + c] = slopes;
  }
}
KERNEL channel_sums_f32(const float *x, const float *grad, float *sums, const float *scales,
                        const float *statistics, Channels at) {
  channel_sums(x, grad, sums, scales, statistics, at);
}
KERNEL channel_sums_bf16(const bf16 *x, const bf16 *grad, float *sums, const float *scales,
                         const float *statistics, Channels at) {
  channel_sums(x, grad, sums, scales, statistics, at);
}

/// The gradient of a normalisation over channels. Threads are 32 positions by 8 lanes of channels.
template <typename T>
DEVICE void position_backward(const T *x, const T *grad, T *dx, const float *scales,
                              const Channels &at) {
  SHARED float parts[8][32];
  const int column = threadIdx.x % 32, lane = threadIdx.x / 32, b = blockIdx.y;
  const int position = blockIdx.x * 32 + column;
  const i64 sample = static_cast<i64>(b) * at.channels * at.positions;
  const bool inside = position < at.positions;
  float tilt = 0.0f, factor, summand, normal, slope, scale;
  if (inside)
    for (int c = lane; c < at.channels; c += 8) {
      channel_affine(at, b, c, factor, summand);
      const i64 i = sample + static_cast<i64>(c) * at.positions + position;
      channel_slope(at, scales, nullptr, x[i], grad[i], b, c, position, factor, summand, normal,
                    slope, scale);
      tilt += slope * factor * normal;
    }
  parts[lane][column] = tilt;
  __syncthreads();
  tilt = 0.0f;
  for (int i = 0; i < 8; i++) tilt += parts[i][column];
  tilt /= at.channels;
  if (inside)
    for (int c = lane; c < at.channels; c += 8) {
      channel_affine(at, b, c, factor, summand);
      const i64 i = sample + static_cast<i64>(c) * at.positions + position;
      channel_slope(at, scales, nullptr, x[i], grad[i], b, c, position, factor, summand, normal,
                    slope, scale);
      put(dx[i], scale * (slope * factor - normal * tilt));
    }
}
KERNEL position_backward_f32(const float *x, const float *grad, float *dx, const float *scales,
                             Channels at) {
  position_backward(x, grad, dx, scales, at);
}
KERNEL position_backward_bf16(const bf16 *x, const bf16 *grad, bf16 *dx, const float *scales,
                              Channels at) {
  position_backward(x, grad, dx, scales, at);
}

/// The gradient of a normalisation of groups; `sums` are `channel_sums`'.
template <typename T>
DEVICE void group_backward(const T *x, const T *grad, T *dx, const float *sums,
                           const float *statistics, const Channels &at) {
  const int position = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y, b = blockIdx.z;
  if (position >= at.positions) return;
  const int size = at.channels / at.groups, first = c / size * size;
  float level = 0.0f, tilt = 0.0f, factor, summand;
  for (int i = first; i < first + size; i++) {
    channel_affine(at, b, i, factor, summand);
    tilt += sums[b * at.channels + i] * factor;
    level += sums[(at.batch + b) * at.channels + i] * factor;
  }
  const float count = static_cast<float>(size) * at.positions;
  channel_affine(at, b, c, factor, summand);
  const i64 i = (static_cast<i64>(b) * at.channels + c) * at.positions + position;
  float normal, slope, scale;
  channel_slope(at, nullptr, statistics, x[i], grad[i], b, c, position, factor, summand, normal,
                slope, scale);
  put(dx[i], scale * (slope * factor - level / count - normal * tilt / count));
}
KERNEL group_backward_f32(const float *x, const float *grad, float *dx, const float *sums,
                          const float *statistics, Channels at) {
  group_backward(x, grad, dx, sums, statistics, at);
}
KERNEL group_backward_bf16(const bf16 *x, const bf16 *grad, bf16 *dx, const float *sums,
                           const float *statistics, Channels at) {
  group_backward(x, grad, dx, sums, statistics, at);
}
