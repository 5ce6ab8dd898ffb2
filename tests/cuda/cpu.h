// CUDA on a CPU, as far as the kernels need it: the threads of a block are fibers of one thread.
//
// A fiber runs until a shuffle or a barrier and hands over to the next one, forwards or backwards, so
// that a barrier too few shows. All fibers of a block must stop at the same kind of place; where they
// do not, `run_grid` gives up and returns 1.
#pragma once
#include <ucontext.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(n)

struct Place {
  unsigned x;
};
static Place threadIdx, blockIdx, blockDim, gridDim;

typedef _Float16 __half;
static inline float __half2float(__half x) { return static_cast<float>(x); }
static inline __half __float2half_rn(float x) { return static_cast<__half>(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline double __longlong_as_double(long long bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

namespace fibers {
enum Stop { FINISHED, SHUFFLE, BARRIER };
constexpr int MOST = 1024, STACK = 64 * 1024;
static ucontext_t scheduler, fiber[MOST];
static Stop stopped[MOST];
static double slot[2][MOST];  // what a shuffle passes on, in turns
static bool turn[MOST];
static std::function<void()> body;

static void stop(Stop at) {
  const int i = threadIdx.x;
  stopped[i] = at;
  swapcontext(&fiber[i], &scheduler);
}

static void enter() {
  body();
  stopped[threadIdx.x] = FINISHED;
}

static bool run_block(int threads, bool backwards) {
  static std::unique_ptr<char[]> stacks(new char[static_cast<size_t>(MOST) * STACK]);
  for (int i = 0; i < threads; ++i) {
    getcontext(&fiber[i]);
    fiber[i].uc_stack.ss_sp = stacks.get() + static_cast<size_t>(i) * STACK;
    fiber[i].uc_stack.ss_size = STACK;
    fiber[i].uc_link = &scheduler;
    turn[i] = false;
    makecontext(&fiber[i], enter, 0);
  }
  do {
    for (int n = 0; n < threads; ++n) {
      const int i = backwards ? threads - 1 - n : n;
      threadIdx.x = i;
      swapcontext(&scheduler, &fiber[i]);
    }
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
  std::memcpy(&fibers::slot[now][i], &v, sizeof v);
  fibers::stop(fibers::SHUFFLE);
  std::memcpy(&v, &fibers::slot[now][i ^ step], sizeof v);
  return v;
}

static int run_grid(int blocks, int threads, int backwards, std::function<void()> body) {
  fibers::body = body;
  gridDim.x = blocks;
  blockDim.x = threads;
  for (int b = 0; b < blocks; ++b) {
    blockIdx.x = backwards ? blocks - 1 - b : b;
    if (!fibers::run_block(threads, backwards)) return 1;
  }
  return 0;
}
