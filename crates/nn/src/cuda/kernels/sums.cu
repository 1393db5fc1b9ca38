// Sums of rows: the gradient of a broadcast, and what split sums leave to add.
// The order of the additions depends on sizes alone.

/// Row `target * chunks + chunk` of `to` is the sum of the rows `target * base + i * step`
/// for the `i < count` of this chunk. A block takes 32 columns by 8 lanes of rows.
template <typename T>
DEVICE void sum_rows(const T *from, float *to, int width, i64 base, i64 step, i64 count, i64 chunk,
                     int chunks, i64 lines) {
  SHARED float parts[8][32];
  const int column = blockIdx.x * 32 + threadIdx.x % 32, lane = threadIdx.x / 32;
  const i64 line = blockIdx.y + blockIdx.z * static_cast<i64>(gridDim.y);
  if (line >= lines) return;
  const i64 target = line / chunks, first = line % chunks * chunk;
  const i64 end = first + chunk < count ? first + chunk : count;
  float sum = 0.0f;
  if (column < width)
    for (i64 i = first + lane; i < end; i += 8)
      sum += widen(from[(target * base + i * step) * width + column]);
  parts[lane][threadIdx.x % 32] = sum;
  __syncthreads();
  if (lane == 0 && column < width) {
    for (int i = 1; i < 8; i++) sum += parts[i][threadIdx.x];
    to[line * width + column] = sum;
  }
}

KERNEL sum_rows_f32(const float *from, float *to, int width, i64 base, i64 step, i64 count,
                    i64 chunk, int chunks, i64 lines) {
  sum_rows(from, to, width, base, step, count, chunk, chunks, lines);
}
KERNEL sum_rows_bf16(const bf16 *from, float *to, int width, i64 base, i64 step, i64 count,
                     i64 chunk, int chunks, i64 lines) {
  sum_rows(from, to, width, base, step, count, chunk, chunks, lines);
}
