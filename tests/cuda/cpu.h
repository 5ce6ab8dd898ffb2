// CUDA on a CPU, as far as the kernels need it: the threads of a block are fibers of one thread.
//
// A fiber runs until a shuffle or a barrier and hands over to the next one, forwards or backwards, so
// that a barrier too few shows. All fibers of a block must stop at the same kind of place; where they
// do not, `run_grid` gives up and returns 1.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct Place {
  unsigned x;
};
static Place threadIdx, blockIdx, blockDim, gridDim;

#ifdef FLOAT16
static inline float wide(unsigned short bits) {
  _Float16 x;
  memcpy(&x, &bits, sizeof x);
  return static_cast<float>(x);
}
static inline unsigned short narrow(float x) {
  const _Float16 y = static_cast<_Float16>(x);
  unsigned short bits;
  memcpy(&bits, &y, sizeof y);
  return bits;
}
#endif
// Constants of the compilation on a GPU; variables here, so that one compilation runs all of them.
static int FUNCTION, PLAIN;
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline double __longlong_as_double(long long bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

namespace fibers {
enum Stop { FINISHED, SHUFFLE, BARRIER };
constexpr int MOST = 1024, STACK = 64 * 1024;
static char stacks[MOST][STACK];
static ucontext_t entry[MOST], unused;
static jmp_buf scheduler, fiber[MOST];
static bool is_new[MOST];
static Stop stopped[MOST];
static double slot[2][MOST];  // what a shuffle passes on, in turns
static bool turn[MOST];
static void (*body)();

static void stop(Stop at) {
  stopped[threadIdx.x] = at;
  if (_setjmp(fiber[threadIdx.x]) == 0) _longjmp(scheduler, 1);
}

static void enter() {
  body();
  stopped[threadIdx.x] = FINISHED;
  _longjmp(scheduler, 1);
}

// Let one fiber run until it stops.
static void resume(int i) {
  threadIdx.x = i;
  if (_setjmp(scheduler) != 0) return;
  if (!is_new[i]) _longjmp(fiber[i], 1);
  is_new[i] = false;
  swapcontext(&unused, &entry[i]);
}

static bool run_block(int threads, bool backwards) {
  for (int i = 0; i < threads; ++i) {
    getcontext(&entry[i]);
    entry[i].uc_stack.ss_sp = stacks[i];
    entry[i].uc_stack.ss_size = STACK;
    makecontext(&entry[i], enter, 0);
    is_new[i] = true;
    turn[i] = false;
  }
  do {
    for (int n = 0; n < threads; ++n) resume(backwards ? threads - 1 - n : n);
    for (int i = 1; i < threads; ++i)
      if (stopped[i] != stopped[0]) return false;
  } while (stopped[0] != FINISHED);
  return true;
}
}  // namespace fibers

static inline void __syncthreads() { fibers::stop(fibers::BARRIER); }

template <class V>
static V __shfl_xor_sync(unsigned, V v, int step) {
  static_assert(sizeof(V) <= sizeof(double), "a slot holds 8 bytes");
  const int i = threadIdx.x;
  const bool now = fibers::turn[i] = !fibers::turn[i];
  memcpy(&fibers::slot[now][i], &v, sizeof v);
  fibers::stop(fibers::SHUFFLE);
  memcpy(&v, &fibers::slot[now][i ^ step], sizeof v);
  return v;
}

static int run_grid(int blocks, int threads, int backwards, void (*body)()) {
  fibers::body = body;
  gridDim.x = blocks;
  blockDim.x = threads;
  for (int b = 0; b < blocks; ++b) {
    blockIdx.x = backwards ? blocks - 1 - b : b;
    if (!fibers::run_block(threads, backwards)) return 1;
  }
  return 0;
}
