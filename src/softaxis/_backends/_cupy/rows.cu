// Rows: the functions that numbers.cuh lists, of rows that fit in registers and of parts of longer ones.
//
// LANES threads hold a row, or a part of one, in HELD registers each. `whole` reads a row once and
// writes its result once. A row longer than LANES * HELD is read by two kernels: `parts_of` leaves
// (m, k, rest, live) of each part, `merge` joins the parts of each row, and `finish` reads the row
// once more and writes. kept.cuh has what stands between: rows that shared memory keeps.
//
// Compiled with -DLANES, -DHELD, -DMAX_THREADS, -DBESIDE (whether neighbouring threads hold
// neighbouring rows), -DCLUSTER (blocks that keep a row; 0 for registers), -DIN_PARTS or one of
// -DWITHOUT_WHOLE and -DWITHOUT_VJP, -DFUNCTION, -DPLAIN (no mask, no sink, a temperature of 1, x
// and not -x) and one of -DFLOAT16, -DFLOAT32 and -DFLOAT64.
#include "memory.cuh"
#include "cluster.cuh"
#include "team.cuh"
#include "numbers.cuh"

// One block a multiprocessor is enough, or the compiler would rather spill than use more registers.
#define KERNEL extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1)

// What every kernel is given. A row has `count` parts, and `parts` holds what the kernels leave
// there; of a row that shared memory keeps, a block has `count` elements.
// Rows have a label and leave a loss each; a gradient is divided by `divisor`, or by what `counted`
// points to.
#define ARGUMENTS                                                                                 \
  const Element *x, const unsigned char *mask, Element *out, double *parts, Index rows,           \
      Index length, Index inner, Index count, Index x_outer, Index x_length, Index x_inner,       \
      Index mask_outer, Index mask_length, Index mask_inner, Index out_outer, Index out_length,   \
      Index out_inner, double temperature, double sink, int has_sink, int negated,                \
      const Index *labels, Index ignored, int ignores, double divisor, const double *counted,     \
      Real *losses
#define OF_X Strides{x_outer, x_length, x_inner}
#define OF_MASK Strides{mask_outer, mask_length, mask_inner}
#define OF_OUT Strides{out_outer, out_length, out_inner}

// What is asked for beside the plain function: constants of the compilation where it is plain.
struct Asked {
  Real t, sink;
  bool has_sink, negated;
};

__device__ inline Asked asked(double temperature, double sink, int has_sink, int negated) {
  if (PLAIN) return {Real(1), Real(0), false, false};
  return {static_cast<Real>(temperature), static_cast<Real>(sink), has_sink != 0, negated != 0};
}

// Whether every element of a row has a result, and whether its label is looked at.
__device__ inline bool is_written() {
  return FUNCTION <= LOG_SOFTMAX || FUNCTION == CROSS_ENTROPY_AND_GRAD;
}
__device__ inline bool has_loss() {
  return FUNCTION == CROSS_ENTROPY || FUNCTION == CROSS_ENTROPY_AND_GRAD;
}

// The label of a row: y, or -1 where it names no class.
struct Label {
  Index y;
  bool is_ignored;

  __device__ Label(Index label, Index ignored, int ignores, Index classes)
      : y(label >= 0 && label < classes ? label : -1), is_ignored(ignores && label == ignored) {}

  // The loss of a row; `x` and `mask` point to its beginning.
  template <class R>
  __device__ Real loss(const Row<R>& row, const Element* x, Index stride, const unsigned char* mask,
                       Index mask_stride) const {
    if (is_ignored) return Real(0);
    if (y < 0) return not_a_number<Real>();
    const bool is_live = PLAIN || mask == nullptr || mask[y * mask_stride];
    const R logit = is_live ? static_cast<R>(wide(x[y * stride])) : -infinity<R>();
    return static_cast<Real>(loss_of(row, logit));
  }
};

// A row, or a part of one, in memory.
template <class E>
struct Stretch {
  E* first;  // of the row
  Index stride, at, end;

  __device__ bool is_aligned() const {
    return stride == 1 && reinterpret_cast<unsigned long long>(first + at) % sizeof(Vector) == 0;
  }
};

// The same in the registers of a team.
struct Held {
  Real value[HELD];
  unsigned live;  // a bit for each register that holds an element the mask leaves in

  __device__ void load(Stretch<const Element> x, const unsigned char* mask, Index mask_stride,
                       int lane, bool negated) {
    const bool aligned = x.is_aligned();
    live = 0;
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      hide(x.at);
      const Index first = x.at + position(v, lane);
      const bool at_once = aligned && first + VECTOR <= x.end;
      Vector chunk;
      if (at_once) {
        chunk = *reinterpret_cast<const Vector*>(x.first + first);
      } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
          if (first + i < x.end) chunk.at[i] = x.first[(first + i) * x.stride];
      }
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        const Index j = first + i;
        const bool is_live = j < x.end && (PLAIN || mask == nullptr || mask[j * mask_stride]);
        const Real y = wide(chunk.at[i]);
        value[v + i] = !is_live ? -infinity<Real>() : negated ? -y : y;
        live |= static_cast<unsigned>(is_live) << (v + i);
      }
    }
  }

  template <class By>
  __device__ void store(const By& by, Stretch<Element> y, int lane) const {
    const bool aligned = y.is_aligned();
    const Real masked = FUNCTION == LOG_SOFTMAX ? -infinity<Real>() : Real(0);
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      hide(y.at);
      const Index first = y.at + position(v, lane);
      if (first >= y.end) continue;
      Vector chunk;
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        const bool is_live = PLAIN || (live >> (v + i) & 1u);
        chunk.at[i] = narrow(is_live ? by.of(value[v + i], first + i) : masked);
      }
      if (aligned && first + VECTOR <= y.end) {
        *reinterpret_cast<Vector*>(y.first + first) = chunk;
      } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
          if (first + i < y.end) y.first[(first + i) * y.stride] = chunk.at[i];
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
    const bool is_top = z == Real(0);
    k += is_top;
    return is_top ? Real(0) : exp_of(z);
  }
};

// What a team makes of the row, or the part of one, that it holds; every lane has it.
__device__ inline Row<Real> row_of(const Held& held, Real t) {
  Row<Real> row;
  row.m = combined(held.maximum(), Larger());
  int k = 0;
  const Real rest = Pairwise<HELD>::rest(held.value, shift_of(row.m), t, k);
  row.rest = combined(rest, Sum());
  row.k = static_cast<Real>(combined(k, Sum()));
  row.live = Real(0);
  if (FUNCTION == LOGMEANEXP) row.live = static_cast<Real>(combined(__popc(held.live), Sum()));
  return row;
}

// hardmax: 1 at the first of the maxima, 0 elsewhere, NaN where that is the maximum.
struct First {
  Real m;
  int first;

  __device__ First(Real m_, int first_) : m(m_), first(first_) {}

  __device__ First(const Held& held, int lane) : m(combined(held.maximum(), Larger())) {
    first = combined(among(held, m, 0, lane), Smaller());
  }

  // The first of them that a lane holds, from position `at` on.
  __device__ static int among(const Held& held, Real m, Index at, int lane) {
    int mine = 0x7fffffff;
#pragma unroll
    for (int v = HELD - 1; v >= 0; --v)
      if (held.live >> v & 1u && held.value[v] == m)
        mine = static_cast<int>(at + position(v, lane));
    return mine;
  }

  __device__ Real of(Real, Index position) const {
    return m != m ? m : position == first ? Real(1) : Real(0);
  }
};

#if !IN_PARTS && !CLUSTER && !defined(WITHOUT_WHOLE)
KERNEL whole(ARGUMENTS) {
  const Asked by = asked(temperature, sink, has_sink, negated);
  const int lane = LANE;
  const Index step = static_cast<Index>(gridDim.x) * ROWS_A_BLOCK;
  for (Index first = static_cast<Index>(blockIdx.x) * ROWS_A_BLOCK; first < rows; first += step) {
    const Index r = first + ROW_IN_BLOCK;
    const bool is_row = r < rows;  // the others take part in the shuffles with nothing
    const Index of = is_row ? r : 0;
    const Element* source = x + OF_X.row(of, inner);
    const unsigned char* kept = mask == nullptr ? mask : mask + OF_MASK.row(of, inner);
    Held held;
    held.load({source, x_length, 0, is_row ? length : 0}, kept, mask_length, lane, by.negated);
    const Stretch<Element> target{out + OF_OUT.row(of, inner), out_length, 0, is_row ? length : 0};
    if (FUNCTION == HARDMAX) {
      held.store(First(held, lane), target, lane);
      continue;
    }
    const Row<Real> row = row_of(held, by.t);
    if (!is_row) continue;
    if (has_loss()) {
      const Label label(labels[r], ignored, ignores, length);
      if (lane == 0) losses[r] = label.loss(row, source, x_length, kept, mask_length);
      if (!is_written()) continue;
      const Real scale = static_cast<Real>(1.0 / (counted == nullptr ? divisor : *counted));
      held.store(Slope<Real>(row.m, row.k, row.rest, scale, label.y, label.is_ignored), target, lane);
    } else if (is_written()) {
      const Normalizer<Real> n(row, by.t, by.has_sink, by.sink, FUNCTION == LOG_SOFTMAX);
      held.store(n, target, lane);
    } else if (lane == 0) {
      *target.first = narrow(reduced(row, FUNCTION == LOGMEANEXP));
    }
  }
}

#endif

#if !defined(WITHOUT_VJP)
struct Same {
  __device__ Real of(Real x, Index) const { return x; }
};

// The sum of N registers, pairwise.
template <int N>
__device__ Real sum_of(const Real* value) {
  if constexpr (N == 1) {
    return *value;
  } else {
    return sum_of<N / 2>(value) + sum_of<N / 2>(value + N / 2);
  }
}

// dx_i = p_i (h_i - sum_j p_j h_j), h = g - g_top; 0 where p is 0.
struct SoftmaxVjp {
  Real m, top, sum;

  // The largest g where p is the largest.
  __device__ Real top_of(const Held& p, const Held& g) const {
    Real found = -infinity<Real>();
#pragma unroll
    for (int v = 0; v < HELD; ++v)
      if (p.value[v] == m) found = Larger()(found, g.value[v]);
    return found;
  }

  __device__ Real sum_over(const Held& p, const Held& g) const {
    Real term[HELD];
#pragma unroll
    for (int v = 0; v < HELD; ++v) {
      const bool is_dead = p.value[v] == Real(0) || !(p.live >> v & 1u);
      term[v] = is_dead ? Real(0) : p.value[v] * (g.value[v] - top);
    }
    return sum_of<HELD>(term);
  }

  __device__ void apply(Held& p, const Held& g) const {
#pragma unroll
    for (int v = 0; v < HELD; ++v)
      if (p.value[v] != Real(0)) p.value[v] *= (g.value[v] - top) - sum;
  }
};

// dx_i = g_i - p_i sum_j g_j = g_i (1 - p_i) - p_i sum_(j != i) g_j; 0 where logp is -inf. The
// second form is that of a p near 1.
struct LogSoftmaxVjp {
  Real m, sum, others;

  __device__ bool is_near() const { return exp_of(m) > Real(0.6); }

  // The sum of g, with or without what belongs to a p near 1.
  __device__ Real sum_over(const Held& logp, const Held& g, bool without) const {
    const bool leaves_out = without && is_near();
    Real term[HELD];
#pragma unroll
    for (int v = 0; v < HELD; ++v) {
      const Real y = logp.value[v];
      term[v] = y == -infinity<Real>() || (leaves_out && y == m) ? Real(0) : g.value[v];
    }
    return sum_of<HELD>(term);
  }

  __device__ void apply(Held& logp, const Held& g) const {
    const bool near = is_near();
#pragma unroll
    for (int v = 0; v < HELD; ++v) {
      const Real y = logp.value[v], of = g.value[v], p = exp_of(y);
      const Real dx = near && y == m ? -of * expm1_of(y) - p * others : of - p * sum;
      logp.value[v] = y == -infinity<Real>() ? Real(0) : dx;
    }
  }
};
#endif

#if !IN_PARTS && !CLUSTER && !defined(WITHOUT_VJP)
// Of x, a result, and of g, which comes in the place of the mask.
KERNEL vjp(ARGUMENTS) {
  const Index step = static_cast<Index>(gridDim.x) * ROWS_A_BLOCK;
  for (Index first = static_cast<Index>(blockIdx.x) * ROWS_A_BLOCK; first < rows; first += step) {
    const bool is_row = first + ROW_IN_BLOCK < rows;
    const Index r = is_row ? first + ROW_IN_BLOCK : 0, end = is_row ? length : 0;
    const Element* other = reinterpret_cast<const Element*>(mask);
    Held held, g;
    held.load({x + OF_X.row(r, inner), x_length, 0, end}, nullptr, 0, LANE, false);
    g.load({other + OF_MASK.row(r, inner), mask_length, 0, end}, nullptr, 0, LANE, false);
    const Real m = combined(held.maximum(), Larger());
    if (FUNCTION == SOFTMAX_VJP) {
      SoftmaxVjp by{m, Real(0), Real(0)};
      by.top = combined(by.top_of(held, g), Larger());
      by.sum = combined(by.sum_over(held, g), Sum());
      by.apply(held, g);
    } else {
      LogSoftmaxVjp by{m, Real(0), Real(0)};
      by.sum = combined(by.sum_over(held, g, false), Sum());
      by.others = combined(by.sum_over(held, g, true), Sum());
      by.apply(held, g);
    }
    held.store(Same(), {out + OF_OUT.row(r, inner), out_length, 0, end}, LANE);
  }
}
#endif

#include "kept.cuh"

#if IN_PARTS
// What is left of a row, or of a part of one, in float64. The rows lie before the parts.
constexpr int NUMBERS = 5;

// Part p of row r, and of the rows beside it; a block takes group g of the parts.
struct Part {
  Index r, p, at, end;
  bool is_row;

  __device__ Part(Index g, Index rows, Index count, Index length)
      : r(g / count * ROWS_A_BLOCK + ROW_IN_BLOCK), p(g % count), at(p * LANES * HELD) {
    is_row = r < rows;
    end = !is_row ? 0 : at + LANES * HELD < length ? at + LANES * HELD : length;
    if (!is_row) r = 0;
  }
};

KERNEL parts_of(ARGUMENTS) {
  const Asked by = asked(temperature, sink, has_sink, negated);
  const Index groups = (rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK * count;
  for (Index g = blockIdx.x; g < groups; g += gridDim.x) {
    const Part part(g, rows, count, length);
    Held held;
    held.load({x + OF_X.row(part.r, inner), x_length, part.at, part.end},
              mask == nullptr ? mask : mask + OF_MASK.row(part.r, inner), mask_length, LANE,
              by.negated);
    const Row<Real> row = row_of(held, by.t);
    if (!part.is_row || LANE != 0) continue;
    double* left = parts + NUMBERS * (rows + part.r * count + part.p);
    left[0] = row.m;
    left[1] = row.k;
    left[2] = row.rest;
    left[3] = row.live;
  }
}

KERNEL finish(ARGUMENTS) {
  const Asked by = asked(temperature, sink, has_sink, negated);
  const Index groups = (rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK * count;
  for (Index g = blockIdx.x; g < groups; g += gridDim.x) {
    const Part part(g, rows, count, length);
    if (!part.is_row) continue;
    Held held;
    held.load({x + OF_X.row(part.r, inner), x_length, part.at, part.end},
              mask == nullptr ? mask : mask + OF_MASK.row(part.r, inner), mask_length, LANE,
              by.negated);
    const Stretch<Element> target{out + OF_OUT.row(part.r, inner), out_length, part.at, part.end};
    const double* left = parts + NUMBERS * part.r;
    if (has_loss()) {
      const Label label(labels[part.r], ignored, ignores, length);
      const Real scale = static_cast<Real>(1.0 / (counted == nullptr ? divisor : *counted));
      const Real m = left[0], k = left[1], rest = left[2];
      held.store(Slope<Real>(m, k, rest, scale, label.y, label.is_ignored), target, LANE);
    } else {
      held.store(Normalizer<Real>(left, by.t), target, LANE);
    }
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
  const Asked by = asked(temperature, sink, has_sink, negated);
  const int lane = threadIdx.x;
  const double t = by.t;
  for (Index r = blockIdx.x; r < rows; r += gridDim.x) {
    const double* part = parts + NUMBERS * (rows + r * count);
    Row<double> row{-infinity<double>(), 0.0, 0.0, 0.0};
    for (Index p = lane; p < count; p += MERGERS) row.m = Larger()(row.m, part[NUMBERS * p]);
    row.m = over_warp(row.m, Larger());
    const double shift = shift_of(row.m);
    for (Index p = lane; p < count; p += MERGERS) {
      const double* of = part + NUMBERS * p;
      const double z = cooled(of[0], shift, t);
      row.k += z == 0.0 ? of[1] : 0.0;
      row.rest += z == 0.0 ? of[2] : (of[1] + of[2]) * exp_of(z);
      row.live += of[3];
    }
    row.k = over_warp(row.k, Sum());
    row.rest = over_warp(row.rest, Sum());
    row.live = over_warp(row.live, Sum());
    if (lane != 0) continue;
    double* left = parts + NUMBERS * r;
    if (has_loss()) {
      const Label label(labels[r], ignored, ignores, length);
      losses[r] = label.loss(row, x + OF_X.row(r, inner), x_length,
                             mask == nullptr ? mask : mask + OF_MASK.row(r, inner), mask_length);
      left[0] = row.m;
      left[1] = row.k;
      left[2] = row.rest;
    } else if (!is_written()) {
      const double y = reduced(row, FUNCTION == LOGMEANEXP);
      out[OF_OUT.row(r, inner)] = narrow(static_cast<Real>(y));
    } else {
      const double s = by.sink;
      Normalizer<double>(row, t, by.has_sink, s, FUNCTION == LOG_SOFTMAX).leave(left);
    }
  }
}
#endif
