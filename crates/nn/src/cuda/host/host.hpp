// A processor in a GPU's stead: the names of `kernels/device.cu` for C++, and a machine
// that runs a block's threads as coroutines. A thread runs until it waits for others, so
// whatever a kernel forgets to wait for is not there yet when it is read; shared memory
// starts as signalling bytes, and asynchronous copies arrive only when they are waited for.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define KERNEL extern "C" void
#define BOUNDS(threads)
#define DEVICE static inline
// Blocks run one after another, so one copy serves all; the machine clears it between blocks.
#define SHARED static __attribute__((section("shared_memory")))
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(machine::dynamic.data())
#define UNROLL

struct Index {
  u32 x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

// The static shared memory of all kernels, as the linker gathers it.
extern "C" u8 __start_shared_memory[] __attribute__((weak, visibility("hidden")));
extern "C" u8 __stop_shared_memory[] __attribute__((weak, visibility("hidden")));

namespace machine {

constexpr size_t STACK = 256 << 10;
constexpr u32 LANES = 32;

struct Copy {
  void *to;
  const void *from;
  int bytes;
};

struct Warp {
  // A lane is at most one exchange ahead of the others, so two sets of slots suffice.
  alignas(16) u8 slots[2][LANES][64];
  u64 arrived[2];
};

struct Thread {
  ucontext_t context;
  std::unique_ptr<u8[]> stack;
  u32 index;
  u64 exchanges = 0, waits = 0;
  bool done = false, at_barrier = false;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};

static std::vector<Thread> threads;
static std::vector<Warp> warps;
static std::vector<u8> dynamic;
static std::function<void()> body;
static Thread *current;
static ucontext_t home;
static u64 barrier_arrived, progress, idle;
static u32 finished;
/// 0: threads take turns; 1: a warp runs on alone until it waits for the block, the last one first.
static int order;
static std::string error;

[[noreturn]] static void fail(const char *what) {
  error = what;
  // The block is given up; its coroutines are never resumed.
  setcontext(&home);
  abort();
}

static void resume(Thread &next) {
  Thread *before = current;
  current = &next;
  threadIdx = {next.index, 0, 0};
  if (before != &next) swapcontext(&before->context, &next.context);
}

static Thread *choose() {
  const u32 count = static_cast<u32>(threads.size());
  if (order == 0) {
    for (u32 i = 1; i <= count; i++) {
      Thread &next = threads[(current->index + i) % count];
      if (!next.done) return &next;
    }
    return nullptr;
  }
  const u32 warp = current->index / LANES, lane = current->index % LANES;
  for (u32 i = 1; i <= LANES; i++) {
    Thread &next = threads[warp * LANES + (lane + i) % LANES];
    if (!next.done && !next.at_barrier) return &next;
  }
  for (u32 i = 1; i <= warps.size(); i++) {
    const u32 other = (warp + static_cast<u32>(warps.size()) - i) % warps.size();
    for (u32 j = 0; j < LANES; j++) {
      Thread &next = threads[other * LANES + j];
      if (!next.done && !next.at_barrier) return &next;
    }
  }
  return nullptr;
}

static void yield() {
  static u64 seen;
  if (seen != progress) {
    seen = progress;
    idle = 0;
  } else if (++idle > 64 * threads.size()) {
    fail("threads wait for each other: not all of them meet at a barrier or an exchange");
  }
  Thread *mine = current, *next = choose();
  if (!next) fail("threads wait for each other: some of them ended before a barrier");
  resume(*next);
  current = mine;
  threadIdx = {mine->index, 0, 0};
}

static void barrier() {
  Thread &mine = *current;
  const u64 wanted = ++mine.waits * threads.size();
  barrier_arrived++, progress++;
  if (barrier_arrived == wanted)
    for (Thread &thread : threads) thread.at_barrier = false;
  else
    mine.at_barrier = true;
  while (barrier_arrived < wanted) yield();
  mine.at_barrier = false;
}

/// Lays down a value and gives those of all lanes once they have arrived.
static const u8 (*exchange(const void *value, size_t size))[64] {
  Thread &mine = *current;
  Warp &warp = warps[mine.index / LANES];
  const u64 turn = mine.exchanges++, set = turn % 2;
  memcpy(warp.slots[set][mine.index % LANES], value, size);
  warp.arrived[set]++, progress++;
  while (warp.arrived[set] < LANES * (turn / 2 + 1)) yield();
  return warp.slots[set];
}

static void entry() {
  body();
  Thread &mine = *current;
  if (!mine.open.empty() || !mine.groups.empty()) {
    // Copies that nobody waited for: harmless only if they are empty.
    for (auto &group : mine.groups)
      if (!group.empty()) fail("a thread ends with copies under way");
  }
  mine.done = true;
  finished++, progress++;
  if (finished == threads.size()) setcontext(&home);
  Thread *next = choose();
  if (!next) fail("threads wait for each other: some of them ended before a barrier");
  current = next;
  threadIdx = {next->index, 0, 0};
  setcontext(&next->context);
}

static void run_block() {
  finished = 0, barrier_arrived = 0, idle = 0;
  // Not a number as f32 and as bf16.
  memset(dynamic.data(), 0xff, dynamic.size());
  if (__start_shared_memory)
    memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
  for (Warp &warp : warps) warp.arrived[0] = warp.arrived[1] = 0;
  for (u32 i = 0; i < threads.size(); i++) {
    Thread &thread = threads[i];
    thread.index = i;
    thread.exchanges = thread.waits = 0;
    thread.done = thread.at_barrier = false;
    thread.groups.clear();
    thread.open.clear();
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get();
    thread.context.uc_stack.ss_size = STACK;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, entry, 0);
  }
  volatile bool started = false;
  getcontext(&home);
  if (!started) {
    started = true;
    current = order == 0 ? &threads.front() : &threads[threads.size() - LANES];
    threadIdx = {current->index, 0, 0};
    setcontext(&current->context);
  }
}

template <typename... Args, size_t... I>
static void call(void (*kernel)(Args...), void **args, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_reference_t<Args> *>(args[I])...);
}

template <typename... Args>
static std::pair<std::function<void(void **)>, std::vector<size_t>> entry_of(
    void (*kernel)(Args...)) {
  return {[kernel](void **args) { call(kernel, args, std::index_sequence_for<Args...>{}); },
          {sizeof(Args)...}};
}

/// A kernel with the sizes of its arguments.
using Kernel = std::pair<std::function<void(void **)>, std::vector<size_t>>;

static int launch(const Kernel &kernel,
                  const u32 *grid, u32 block, u32 shared, void **args, const size_t *sizes,
                  size_t count, int wanted_order) {
  if (kernel.second.size() != count || block % LANES != 0) {
    error = "a launch has the wrong number of arguments, or no whole warps";
    return 1;
  }
  for (size_t i = 0; i < count; i++)
    if (kernel.second[i] != sizes[i]) {
      error = "argument " + std::to_string(i) + " has " + std::to_string(sizes[i]) +
              " bytes, wanted " + std::to_string(kernel.second[i]);
      return 1;
    }
  error.clear();
  order = wanted_order;
  blockDim = {block, 1, 1};
  gridDim = {grid[0], grid[1], grid[2]};
  dynamic.assign(shared + 128, 0);
  warps.assign(block / LANES, Warp{});
  threads.clear();
  threads.resize(block);
  for (Thread &thread : threads) thread.stack.reset(new u8[STACK]);
  body = [&] { kernel.first(args); };
  for (u32 z = 0; z < grid[2]; z++)
    for (u32 y = 0; y < grid[1]; y++)
      for (u32 x = 0; x < grid[0]; x++) {
        blockIdx = {x, y, z};
        run_block();
        if (!error.empty()) return 1;
        for (size_t i = shared; i < dynamic.size(); i++)
          if (dynamic[i] != 0xff) {
            error = "a kernel wrote behind its shared memory";
            return 1;
          }
      }
  return 0;
}

}  // namespace machine

DEVICE void __syncthreads() { machine::barrier(); }
DEVICE void __syncwarp() {
  const u8 nothing = 0;
  machine::exchange(&nothing, 1);
}

DEVICE float infinity() { return INFINITY; }
DEVICE u32 bits_of(float x) {
  u32 bits;
  memcpy(&bits, &x, 4);
  return bits;
}
DEVICE float of_bits(u32 bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
DEVICE float power_of_two(float x) { return exp2f(x); }

DEVICE u32 rounded(float x) {
  const u32 bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
DEVICE u32 pair_of(float low, float high) { return rounded(low) | rounded(high) << 16; }

DEVICE float from_lane(float x, int lane) {
  float y;
  memcpy(&y, machine::exchange(&x, 4)[lane % 32], 4);
  return y;
}
DEVICE float from_lane_xor(float x, int mask) {
  return from_lane(x, static_cast<int>(threadIdx.x % 32) ^ mask);
}

DEVICE float half_of(u32 pair, int which) {
  return of_bits(which ? pair & 0xffff0000u : pair << 16);
}

DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  const u32 mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const auto slots = machine::exchange(mine, sizeof mine);
  auto of = [&](int lane, int i) { return reinterpret_cast<const u32 *>(slots[lane])[i]; };
  const int lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
  for (int e = 0; e < 4; e++) {
    // Rows below the eighth are in the second and fourth register.
    const int below = e / 2, n = column + e % 2;
    float sum = 0.0f;
    for (int k = 0; k < 16; k++) {
      const int quarter = k % 8 / 2, high = k / 8;
      sum += half_of(of(row * 4 + quarter, below + 2 * high), k % 2) *
             half_of(of(n * 4 + quarter, 4 + high), k % 2);
    }
    c[e] += sum;
  }
}

DEVICE void load_matrices(u32 (&to)[4], const void *row) {
  const int lane = threadIdx.x % 32;
  if (reinterpret_cast<uintptr_t>(row) % 16) machine::fail("a matrix row is not aligned");
  const auto slots = machine::exchange(&row, sizeof row);
  for (int i = 0; i < 4; i++) {
    const u32 *line;
    memcpy(&line, slots[i * 8 + lane / 4], sizeof line);
    to[i] = line[lane % 4];
  }
}

DEVICE void load_matrices_across(u32 (&to)[4], const void *row) {
  const int lane = threadIdx.x % 32;
  if (reinterpret_cast<uintptr_t>(row) % 16) machine::fail("a matrix row is not aligned");
  const auto slots = machine::exchange(&row, sizeof row);
  for (int i = 0; i < 4; i++) {
    u32 halves[2];
    for (int j = 0; j < 2; j++) {
      const u16 *line;
      memcpy(&line, slots[i * 8 + lane % 4 * 2 + j], sizeof line);
      halves[j] = line[lane / 4];
    }
    to[i] = halves[0] | halves[1] << 16;
  }
}

DEVICE void copy_start(void *to, const void *from, int bytes) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16)
    machine::fail("an asynchronous copy is not aligned");
  machine::current->open.push_back({to, from, bytes});
}
DEVICE void copy_commit() {
  auto &thread = *machine::current;
  thread.groups.push_back(std::move(thread.open));
  thread.open.clear();
}
template <int PENDING>
DEVICE void copy_wait() {
  auto &groups = machine::current->groups;
  while (groups.size() > PENDING) {
    for (const auto &copy : groups.front()) {
      memset(copy.to, 0, 16);
      memcpy(copy.to, copy.from, copy.bytes);
    }
    groups.erase(groups.begin());
  }
}
