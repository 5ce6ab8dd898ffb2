// CUDA on a CPU, as far as the kernels need it: the threads of a block are fibers of one thread.
//
// A fiber runs until a shuffle or a barrier and hands over to the next one, forwards or backwards, so
// that a barrier too few shows. All fibers of a block must stop at the same kind of place; where they
// do not, `run_grid` gives up and returns 1. The blocks of a cluster run in turns, each with shared
// memory of its own; to reach into that of a block that has not begun, or has ended, is a fault too.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define IN_CLUSTER
#define BLOCKS (CLUSTER > 1 ? CLUSTER : 1)  // that run at a time
#define SHARED(V, name, count)         \
  static V name##_of[BLOCKS][count];   \
  V* const name = name##_of[fibers::rank]
#define ROOM(V, name) V* const name = reinterpret_cast<V*>(fibers::room[fibers::rank])

struct Dim {
  unsigned x;
};
static Dim threadIdx, blockIdx, blockDim, gridDim;

template <class To, class From>
static inline To bits_as(From x) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}
static inline float from_half(unsigned short bits) {
  return static_cast<float>(bits_as<_Float16>(bits));
}
static inline unsigned short to_half(float x) {
  return bits_as<unsigned short>(static_cast<_Float16>(x));
}
static inline unsigned __float_as_uint(float x) { return bits_as<unsigned>(x); }
static inline float __uint_as_float(unsigned x) { return bits_as<float>(x); }
// Constants of the compilation on a GPU; variables here, so that one compilation runs all of them.
static int FUNCTION, ASKED, LANES, BESIDE;
#define MAX_THREADS 512
#define CONSTANT_IF if
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline double __longlong_as_double(long long bits) { return bits_as<double>(bits); }

namespace fibers {
enum Stop { UNBORN, FINISHED, SHUFFLE, BARRIER, CLUSTER_BARRIER };
constexpr int MOST = CLUSTER > 1 ? CLUSTER * 512 : 1024, STACK = 64 * 1024;
static char stacks[MOST][STACK];
static ucontext_t entry[MOST], unused;
static jmp_buf scheduler, fiber[MOST];
static bool is_new[MOST];
static Stop stopped[MOST];
static double slot[2][MOST];  // what a shuffle passes on, in turns
static bool turn[MOST];
static void (*body)();
static int rank, current;  // of the block in its cluster, of the fiber among all
static bool is_at_fault;
#if CLUSTER
alignas(16) static char room[BLOCKS][227 * 1024];
#endif

static void stop(Stop at) {
  stopped[current] = at;
  if (_setjmp(fiber[current]) == 0) _longjmp(scheduler, 1);
}

static void enter() {
  body();
  stopped[current] = FINISHED;
  _longjmp(scheduler, 1);
}

// Let one fiber run until it stops.
static void resume(int i) {
  current = i;
  threadIdx.x = i % blockDim.x;
  if (_setjmp(scheduler) != 0) return;
  if (!is_new[i]) _longjmp(fiber[i], 1);
  is_new[i] = false;
  swapcontext(&unused, &entry[i]);
}

// Let the threads of a block run until all have stopped, at the same kind of place.
static bool run_block(int block, bool backwards) {
  const int threads = blockDim.x, first = block * threads;
  rank = block;
  for (int n = 0; n < threads; ++n) resume(first + (backwards ? threads - 1 - n : n));
  for (int i = 1; i < threads; ++i)
    if (stopped[first + i] != stopped[first]) return false;
  return true;
}

static Stop where(int block) { return stopped[block * blockDim.x]; }

// Run the blocks from `first` on: one, or those of a cluster.
static bool run_cluster(int first, bool backwards) {
  for (unsigned i = 0; i < BLOCKS * blockDim.x; ++i) {
    getcontext(&entry[i]);
    entry[i].uc_stack.ss_sp = stacks[i];
    entry[i].uc_stack.ss_size = STACK;
    makecontext(&entry[i], enter, 0);
    is_new[i] = true;
    turn[i] = false;
    stopped[i] = UNBORN;
  }
  while (true) {
    for (int n = 0; n < BLOCKS; ++n) {
      const int block = backwards ? BLOCKS - 1 - n : n;
      blockIdx.x = first + block;
      do {
        if (!run_block(block, backwards)) return false;
      } while (where(block) != FINISHED && where(block) != CLUSTER_BARRIER);
    }
    for (int block = 1; block < BLOCKS; ++block)
      if (where(block) != where(0)) return false;
    if (where(0) == FINISHED) return !is_at_fault;
  }
}
}  // namespace fibers

static inline void __syncthreads() { fibers::stop(fibers::BARRIER); }
static inline int rank_in_cluster() { return fibers::rank; }
static inline void cluster_barrier() {
  if (CLUSTER > 1) fibers::stop(fibers::CLUSTER_BARRIER);
}

template <class V>
static V* of_block(V* mine, int rank) {
  const fibers::Stop at = fibers::where(rank);
  if (at == fibers::UNBORN || at == fibers::FINISHED) fibers::is_at_fault = true;
  return mine + (rank - fibers::rank) * CLUSTER;  // arrays that blocks share have CLUSTER elements
}

template <class V>
static V __shfl_xor_sync(unsigned, V v, int step) {
  static_assert(sizeof(V) <= sizeof(double), "a slot holds 8 bytes");
  const int i = fibers::current;
  const bool now = fibers::turn[i] = !fibers::turn[i];
  memcpy(&fibers::slot[now][i], &v, sizeof v);
  fibers::stop(fibers::SHUFFLE);
  memcpy(&v, &fibers::slot[now][i ^ step], sizeof v);
  return v;
}

static int run_grid(int blocks, int threads, int backwards, void (*body)()) {
  fibers::body = body;
  fibers::is_at_fault = false;
  gridDim.x = blocks;
  blockDim.x = threads;
  for (int b = 0; b < blocks; b += BLOCKS)
    if (!fibers::run_cluster(backwards ? blocks - BLOCKS - b : b, backwards)) return 1;
  return 0;
}
