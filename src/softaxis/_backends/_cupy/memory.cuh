// Memory: what an element is, where it lies, and how it is read and written.
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

// Their bits, so that no header of CUDA is needed.
struct float16 {
  unsigned short bits;
};
struct bfloat16 {
  unsigned short bits;
};
typedef float float32;
typedef double float64;

typedef ELEMENT Element;  // what is read
typedef RESULT Result;    // what is written
template <bool IS_WIDE>
struct Computing {
  typedef float Type;
};
template <>
struct Computing<true> {
  typedef double Type;
};
typedef Computing<sizeof(Element) == 8 || sizeof(Result) == 8>::Type Real;

#ifdef __CUDACC__
__device__ inline float from_half(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline unsigned short to_half(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
#endif

__device__ inline unsigned short to_brain(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  unsigned short found;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(found) : "f"(x));
  return found;
#else
  const unsigned bits = __float_as_uint(x);  // the upper half, rounded to the nearest, ties to even
  return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
#endif
}

__device__ inline float wide(float16 x) { return from_half(x.bits); }
__device__ inline float wide(bfloat16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}
__device__ inline float wide(float x) { return x; }
__device__ inline double wide(double x) { return x; }

template <class E>
struct Narrow {
  __device__ static E of(Real x) { return static_cast<E>(x); }
};
template <>
struct Narrow<float16> {
  __device__ static float16 of(Real x) { return {to_half(static_cast<float>(x))}; }
};
template <>
struct Narrow<bfloat16> {
  __device__ static bfloat16 of(Real x) { return {to_brain(static_cast<float>(x))}; }
};

constexpr int VECTOR = 16 / sizeof(Element);

// VECTOR neighbours, aligned as far as they can be loaded or stored at once.
template <class E>
struct alignas(VECTOR * sizeof(E) < 16 ? VECTOR * sizeof(E) : 16) Chunk {
  E at[VECTOR];
};
template <class E>
struct Chunk<const E> : Chunk<E> {};
typedef Chunk<Element> Vector;

struct Strides {
  Index outer, length, inner;
  __device__ Index row(Index r, Index inners) const {
    return r / inners * outer + r % inners * inner;
  }
};

// A row, or a part of one.
template <class E>
struct Stretch {
  E* first;  // of the row
  Index stride, at, end;

  __device__ bool is_aligned() const {
    const unsigned long long address = reinterpret_cast<unsigned long long>(first + at);
    return stride == 1 && address % alignof(Chunk<E>) == 0;
  }
};

// Position in the row of what `lane` holds in register v.
__device__ inline Index position(int v, int lane) {
  return (static_cast<Index>(v / VECTOR) * LANES + lane) * VECTOR + v % VECTOR;
}

// Hides a number from the compiler, which would work out all addresses ahead and hold them in
// registers.
__device__ inline void hide(Index& n) { asm volatile("" : "+" LONG(n)); }
