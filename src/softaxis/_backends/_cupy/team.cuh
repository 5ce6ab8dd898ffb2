// Teams: the LANES threads that share a row, and how they combine what each of them holds.
//
// A row is shared by lane 0..LANES-1, a power of two. `combined` is a butterfly over the lanes,
// lane ^ 1, lane ^ 2, lane ^ 4, ..., by warp shuffles where the lanes of a row are neighbours
// (BESIDE = 0) and through shared memory where neighbours hold different rows (BESIDE = 1). Both
// add in the same order, so that the bits of a row do not depend on the rows beside it.
#pragma once

#define ROWS_A_BLOCK (static_cast<int>(blockDim.x) / LANES)
#define ROW_IN_BLOCK (static_cast<int>(BESIDE ? threadIdx.x % ROWS_A_BLOCK : threadIdx.x / LANES))
#define LANE (static_cast<int>(BESIDE ? threadIdx.x / ROWS_A_BLOCK : threadIdx.x % LANES))

struct Larger {  // NaN wins
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a > b || a != a ? a : b;
  }
};

struct Smaller {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a < b ? a : b;
  }
};

struct Sum {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};

template <class V, class Op>
__device__ V through_memory(V v, Op op) {
  SHARED(V, held, MAX_THREADS);
  const int rows = ROWS_A_BLOCK, row = ROW_IN_BLOCK, lane = LANE;
#pragma unroll
  for (int step = 1; step < LANES; step *= 2) {
    held[threadIdx.x] = v;
    __syncthreads();
    v = op(v, held[(lane ^ step) * rows + row]);
    __syncthreads();
  }
  return v;
}

template <class V, class Op>
__device__ V over_warps(V v, Op op) {
  const int warps = LANES / 32;
  SHARED(V, held, MAX_THREADS / 32);
  if (threadIdx.x % 32 == 0) held[threadIdx.x / 32] = v;
  __syncthreads();
  v = held[threadIdx.x % warps];
#pragma unroll
  for (int step = 1; step < warps; step *= 2)
    v = op(v, __shfl_xor_sync(0xffffffffu, v, step));
  // Lane l of a warp now holds the sum in the order of warp l % warps; all of them have its bits,
  // since a + b = b + a at every step. The next call writes `held` again.
  __syncthreads();
  return v;
}

template <class V, class Op>
__device__ V combined(V v, Op op) {
  CONSTANT_IF (BESIDE) {
    return through_memory(v, op);
  } else {
#pragma unroll
    for (int step = 1; step < (LANES < 32 ? LANES : 32); step *= 2)
      v = op(v, __shfl_xor_sync(0xffffffffu, v, step));
    CONSTANT_IF (LANES > 32) v = over_warps(v, op);
    return v;
  }
}
