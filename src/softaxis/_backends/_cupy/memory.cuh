// Memory: where an element lies, and how it is read and written.
//
// An array is (outer, length, inner) with three strides, counted in elements, of any sign or 0. Row
// r is outer r / inner and inner r % inner. All offsets are 64 bits wide. A lane takes VECTOR
// neighbours at a time, 16 bytes, and loads them at once where they lie side by side and aligned.
#pragma once

typedef long long Index;
#ifdef __CUDACC__
#define LONG "l"
#else
#define LONG "r"
#endif

#if defined(FLOAT16)
typedef unsigned short Element;  // its bits, so that no header of CUDA is needed
typedef float Real;
#ifdef __CUDACC__
__device__ inline Real wide(Element bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline Element narrow(Real x) {
  Element bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
#endif
#elif defined(FLOAT32)
typedef float Element;
typedef float Real;
#elif defined(FLOAT64)
typedef double Element;
typedef double Real;
#endif
#if !defined(FLOAT16)
__device__ inline Real wide(Element x) { return x; }
__device__ inline Element narrow(Real x) { return x; }
#endif

constexpr int VECTOR = 16 / sizeof(Element);

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

// Hides a number from the compiler, which would work out all addresses ahead and hold them in
// registers.
__device__ inline void hide(Index& n) { asm volatile("" : "+" LONG(n)); }
