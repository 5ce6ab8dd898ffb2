// Rows: softmax, log_softmax, logsumexp and logmeanexp of rows that fit in registers, and of parts of
// longer ones.
//
// LANES threads hold a row, or a part of one, in HELD registers each. `whole` reads a row once and
// writes its result once. A row longer than LANES * HELD takes three launches: `parts` reads it and
// leaves (m, k, rest, live) of each part, `merge` joins the parts of each row in their order, and
// `finish` reads it once more and writes. Compiled with -DLANES, -DHELD, -DELEMENT (bytes), -DBESIDE (whether
// neighbouring threads hold different rows) and -DMAX_THREADS.
#if ELEMENT == 2 && defined(__CUDACC__)
#include <cuda_fp16.h>
#endif
#include "memory.cuh"
#include "team.cuh"
#include "numbers.cuh"

// What every kernel is given.
#define ARGUMENTS                                                                                 \
  const Element *x, const unsigned char *mask, Element *out, double *parts, Index rows,           \
      Index length, Index inner, Index count, Index x_outer, Index x_length, Index x_inner,       \
      Index mask_outer, Index mask_length, Index mask_inner, Index out_outer, Index out_length,   \
      Index out_inner, double temperature, double sink, int has_sink, int negated, int op

// A stretch of a row in the registers of a team: `at` elements from the row's beginning.
struct Stretch {
  Real value[HELD];
  unsigned live;  // a bit for each register that holds an element the mask leaves in

  __device__ void load(const Element* row, Index stride, const unsigned char* mask,
                       Index mask_stride, Index at, Index length, int lane, int negated) {
    const bool aligned = is_aligned(row + at, stride);
    live = 0;
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      const Index first = at + position(v, lane);
      Vector chunk;
      const bool at_once = aligned && first + VECTOR <= length;
      if (at_once) chunk = *reinterpret_cast<const Vector*>(row + first);
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        const Index j = first + i;
        const bool is_live = j < length && (mask == nullptr || mask[j * mask_stride]);
        Real y = -infinity<Real>();
        if (is_live) {
          y = wide(at_once ? chunk.at[i] : row[j * stride]);
          if (negated) y = -y;
          live |= 1u << (v + i);
        }
        value[v + i] = y;
      }
    }
  }

  __device__ Real maximum() const {
    Real m = value[0];
#pragma unroll
    for (int v = 1; v < HELD; ++v) m = Larger()(m, value[v]);
    return m;
  }
};

// The sum of exp(z) over N registers, pairwise, the maxima counted apart.
template <int N>
struct Pairwise {
  __device__ static Real rest(const Real* value, Real shift, Real t, int& k) {
    const Real left = Pairwise<N / 2>::rest(value, shift, t, k);
    return left + Pairwise<N / 2>::rest(value + N / 2, shift, t, k);
  }
};

template <>
struct Pairwise<1> {
  __device__ static Real rest(const Real* value, Real shift, Real t, int& k) {
    const Real z = cooled(*value, shift, t);
    if (z == Real(0)) {
      ++k;
      return Real(0);
    }
    return exp_of(z);
  }
};

__device__ inline Row<Real> row_of(const Stretch& held, Real t, bool counted) {
  Row<Real> row;
  row.m = combined(held.maximum(), Larger());
  int k = 0;
  const Real rest = Pairwise<HELD>::rest(held.value, shift_of(row.m), t, k);
  row.rest = combined(rest, Sum());
  row.k = static_cast<Real>(combined(k, Sum()));
  row.live = counted ? static_cast<Real>(combined(__popc(held.live), Sum())) : Real(0);
  return row;
}

__device__ inline void store(const Stretch& held, const Normalizer<Real>& by, int op, Element* row,
                             Index stride, Index at, Index length, int lane) {
  const bool aligned = is_aligned(row + at, stride);
  const Real masked = op == SOFTMAX ? Real(0) : -infinity<Real>();
#pragma unroll
  for (int v = 0; v < HELD; v += VECTOR) {
    const Index first = at + position(v, lane);
    if (first >= length) continue;
    Vector chunk;
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
      const Real x = held.value[v + i];
      const bool is_live = held.live >> (v + i) & 1u;
      const Real y = op == SOFTMAX ? by.probability(x) : by.log_probability(x);
      chunk.at[i] = narrow(is_live ? y : masked);
    }
    if (aligned && first + VECTOR <= length) {
      *reinterpret_cast<Vector*>(row + first) = chunk;
    } else {
#pragma unroll
      for (int i = 0; i < VECTOR; ++i)
        if (first + i < length) row[(first + i) * stride] = chunk.at[i];
    }
  }
}

extern "C" __global__ void __launch_bounds__(MAX_THREADS) whole(ARGUMENTS) {
  const Strides of_x{x_outer, x_length, x_inner}, of_mask{mask_outer, mask_length, mask_inner},
      of_out{out_outer, out_length, out_inner};
  const int lane = LANE;
  const Real t = static_cast<Real>(temperature);
  const Index step = static_cast<Index>(gridDim.x) * ROWS_A_BLOCK;
  for (Index first = static_cast<Index>(blockIdx.x) * ROWS_A_BLOCK; first < rows; first += step) {
    const Index r = first + ROW_IN_BLOCK;
    const bool is_row = r < rows;  // the others take part in the shuffles with nothing
    Stretch held;
    held.load(x + (is_row ? of_x.row(r, inner) : 0), of_x.length,
              mask == nullptr ? mask : mask + (is_row ? of_mask.row(r, inner) : 0), of_mask.length,
              0, is_row ? length : 0, lane, negated);
    const Row<Real> row = row_of(held, t, op == LOGMEANEXP);
    if (!is_row) continue;
    Element* target = out + of_out.row(r, inner);
    if (op >= LOGSUMEXP) {
      if (lane == 0) *target = narrow(reduced(row, op == LOGMEANEXP));
    } else {
      const Normalizer<Real> by(row, t, has_sink, static_cast<Real>(sink), op == LOG_SOFTMAX);
      store(held, by, op, target, of_out.length, 0, length, lane);
    }
  }
}

// What is left of a row, or of a part of one, in float64. The rows lie before the parts.
constexpr int NUMBERS = 5;

// `count` parts a row; part p begins at p * LANES * HELD. Neighbouring rows stay neighbours.
#define FOR_EACH_PART                                                                              \
  const Strides of_x{x_outer, x_length, x_inner}, of_mask{mask_outer, mask_length, mask_inner};   \
  const int lane = LANE;                                                                           \
  const Real t = static_cast<Real>(temperature);                                                   \
  const Index groups = (rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK;                                   \
  for (Index g = blockIdx.x; g < groups * count; g += gridDim.x) {                                 \
    const Index r = g / count * ROWS_A_BLOCK + ROW_IN_BLOCK, p = g % count;                        \
    const bool is_row = r < rows;                                                                  \
    const Index at = p * LANES * HELD;                                                             \
    const Index end = at + LANES * HELD < length ? at + LANES * HELD : length;                     \
    Stretch held;                                                                                  \
    held.load(x + (is_row ? of_x.row(r, inner) : 0), of_x.length,                                  \
              mask == nullptr ? mask : mask + (is_row ? of_mask.row(r, inner) : 0),                \
              of_mask.length, at, is_row ? end : 0, lane, negated);

extern "C" __global__ void __launch_bounds__(MAX_THREADS) parts_of(ARGUMENTS) {
  FOR_EACH_PART
    const Row<Real> row = row_of(held, t, true);
    if (is_row && lane == 0) {
      double* part = parts + NUMBERS * (rows + r * count + p);
      part[0] = row.m;
      part[1] = row.k;
      part[2] = row.rest;
      part[3] = row.live;
    }
  }
}

extern "C" __global__ void __launch_bounds__(MAX_THREADS) finish(ARGUMENTS) {
  const Strides of_out{out_outer, out_length, out_inner};
  FOR_EACH_PART
    if (!is_row) continue;
    const Normalizer<Real> by(parts + NUMBERS * r, t);
    store(held, by, op, out + of_out.row(r, inner), of_out.length, at, end, lane);
  }
}

// One warp a row joins (m, k, rest, live) of its parts, in float64.
#define MERGERS 32

template <class Op>
__device__ double over_warp(double v, Op op) {
#pragma unroll
  for (int step = 1; step < MERGERS; step *= 2)
    v = op(v, __shfl_xor_sync(0xffffffffu, v, step));
  return v;
}

extern "C" __global__ void __launch_bounds__(MERGERS) merge(ARGUMENTS) {
  const Strides of_out{out_outer, out_length, out_inner};
  const int lane = threadIdx.x;
  const double t = static_cast<Real>(temperature);
  for (Index r = blockIdx.x; r < rows; r += gridDim.x) {
    const double* part = parts + NUMBERS * (rows + r * count);
    Row<double> row{-infinity<double>(), 0.0, 0.0, 0.0};
    for (Index p = lane; p < count; p += MERGERS) row.m = Larger()(row.m, part[NUMBERS * p]);
    row.m = over_warp(row.m, Larger());
    const double shift = shift_of(row.m);
    for (Index p = lane; p < count; p += MERGERS) {
      const double z = cooled(part[NUMBERS * p], shift, t), e = exp_of(z);
      if (z == 0.0) row.k += part[NUMBERS * p + 1];
      row.rest += z == 0.0 ? part[NUMBERS * p + 2] : (part[NUMBERS * p + 1] + part[NUMBERS * p + 2]) * e;
      row.live += part[NUMBERS * p + 3];
    }
    row.k = over_warp(row.k, Sum());
    row.rest = over_warp(row.rest, Sum());
    row.live = over_warp(row.live, Sum());
    if (lane != 0) continue;
    if (op >= LOGSUMEXP) {
      out[of_out.row(r, inner)] = narrow(static_cast<Real>(reduced(row, op == LOGMEANEXP)));
    } else {
      Normalizer<double>(row, t, has_sink, sink, op == LOG_SOFTMAX).leave(parts + NUMBERS * r);
    }
  }
}
