// Memory: where an element lies, and how it is read and written.
//
// An array is (outer, length, inner) with three strides, counted in elements, of any sign or 0. Row
// r is outer r / inner and inner r % inner. All offsets are 64 bits wide. A lane takes VECTOR
// neighbours at a time, 16 bytes, and loads them at once where they lie side by side and aligned.
#pragma once

typedef long long Index;

#if ELEMENT == 2
typedef __half Element;
typedef float Real;
__device__ inline Real wide(Element x) { return __half2float(x); }
__device__ inline Element narrow(Real x) { return __float2half_rn(x); }
#elif ELEMENT == 4
typedef float Element;
typedef float Real;
__device__ inline Real wide(Element x) { return x; }
__device__ inline Element narrow(Real x) { return x; }
#else
typedef double Element;
typedef double Real;
__device__ inline Real wide(Element x) { return x; }
__device__ inline Element narrow(Real x) { return x; }
#endif

constexpr int VECTOR = 16 / ELEMENT;

struct alignas(16) Vector {
  Element at[VECTOR];
};

struct Strides {
  Index outer, length, inner;
  __device__ Index row(Index r, Index inners) const {
    return r / inners * outer + r % inners * inner;
  }
};

// Position in the row of what `lane` holds in register v.
__device__ inline Index position(int v, int lane) {
  return (static_cast<Index>(v / VECTOR) * LANES + lane) * VECTOR + v % VECTOR;
}

__device__ inline bool is_aligned(const Element* row, Index stride) {
  return stride == 1 && reinterpret_cast<unsigned long long>(row) % sizeof(Vector) == 0;
}
