// What the kernels ask of a GPU: launch marks, warp exchange, tensor cores, asynchronous
// copies. `host/host.hpp` has the same names for a processor, so that one source of every
// kernel runs on both. No header of CUDA's is used, so NVRTC needs no folder of headers.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define KERNEL extern "C" __global__ void
#define BOUNDS(threads) __launch_bounds__(threads)
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__
#define DYNAMIC_SHARED(type, name) \
  extern __shared__ __align__(128) u8 dynamic_shared[]; \
  type *name = reinterpret_cast<type *>(dynamic_shared)
#define UNROLL _Pragma("unroll")

DEVICE float infinity() { return __int_as_float(0x7f800000); }
DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
DEVICE float of_bits(u32 x) { return __uint_as_float(x); }

/// 2^x; minus infinity gives 0.
DEVICE float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two numbers as bf16, the first in the low half; to nearest, ties to even.
DEVICE u32 pair_of(float low, float high) {
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

DEVICE float from_lane_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE float from_lane(float x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }

DEVICE u32 shared_address(const void *at) {
  return static_cast<u32>(__cvta_generic_to_shared(at));
}

/// `c += a b` for a 16 x 16 by 16 x 8 product of bf16 in a warp's fragments, sums in f32.
DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four 8 x 8 matrices of 16-bit numbers: lane `8 i + r` gives the address of row `r` of matrix `i`.
DEVICE void load_matrices(u32 (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

/// The same, each matrix transposed.
DEVICE void load_matrices_across(u32 (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

/// Starts to copy 16 bytes, of which all beyond `bytes` become zero.
DEVICE void copy_start(void *to, const void *from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
/// Closes a group of copies.
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `PENDING` of this thread's groups are under way.
template <int PENDING>
DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
