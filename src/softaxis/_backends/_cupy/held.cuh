// Held: what the threads of a team hold in registers, and what they make of it.
#pragma once

// The result of what the mask leaves out.
__device__ inline Real of_masked() { return FUNCTION == LOG_SOFTMAX ? -infinity<Real>() : Real(0); }

// A row, or a part of one, in the registers of a team.
struct Held {
  Real value[HELD];
  unsigned live;  // a bit for each register that holds an element the mask leaves in

  __device__ void load(Stretch<const Element> x, const unsigned char* mask, Index mask_stride,
                       int lane, const Asked& by) {
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
        value[v + i] = is_live ? by.of(wide(chunk.at[i]), j) : -infinity<Real>();
        live |= static_cast<unsigned>(is_live) << (v + i);
      }
    }
  }

  __device__ void load(const Call& c, const Place& of, Index at, Index end, int lane) {
    load({of.x, c.of_x.length, at, end}, of.mask, c.of_mask.length, lane, of.by);
  }

  template <class By>
  __device__ void store(const By& by, Stretch<Result> y, int lane) const {
    const bool aligned = y.is_aligned();
    const Real masked = of_masked();
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      hide(y.at);
      const Index first = y.at + position(v, lane);
      if (first >= y.end) continue;
      Chunk<Result> chunk;
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        const bool is_live = PLAIN || (live >> (v + i) & 1u);
        chunk.at[i] = Narrow<Result>::of(is_live ? by.of(value[v + i], first + i) : masked);
      }
      if (aligned && first + VECTOR <= y.end) {
        *reinterpret_cast<Chunk<Result>*>(y.first + first) = chunk;
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

// The sum of N registers, pairwise.
template <int N>
__device__ Real sum_of(const Real* value) {
  if constexpr (N == 1) {
    return *value;
  } else {
    return sum_of<N / 2>(value) + sum_of<N / 2>(value + N / 2);
  }
}

// The class weights of what a lane holds from position `at` on, summed, and times m - x.
__device__ inline void spread(const Call& c, const Held& held, Real shift, Index at, int lane,
                              Row<Real>& row) {
  Real term[HELD];
#pragma unroll
  for (int v = 0; v < HELD; ++v) {
    if (v % VECTOR == 0) hide(at);
    const bool is_live = held.live >> v & 1u, is_one = c.class_weights == nullptr;
    term[v] = is_live ? Real(1) : Real(0);
    if (is_live && !is_one) term[v] = c.class_weights[at + position(v, lane)];
  }
  row.weight += sum_of<HELD>(term);
#pragma unroll
  for (int v = 0; v < HELD; ++v)
    if (term[v] != Real(0)) term[v] *= shift - held.value[v];
  row.far += sum_of<HELD>(term);
}

__device__ inline bool counts_live(const Call& c) {
  return FUNCTION == LOGMEANEXP || (ALL && has_loss());
}
__device__ inline bool is_smooth(const Call& c) { return ALL && has_loss() && c.smoothing != 0; }

// What a team makes of the row, or the part of one from position `at` on, that it holds.
__device__ inline Row<Real> row_of(const Call& c, const Held& held, Real t, Index at, int lane) {
  Row<Real> row{combined(held.maximum(), Larger())};
  int k = 0;
  const Real rest = Pairwise<HELD>::rest(held.value, shift_of(row.m), t, k);
  row.rest = combined(rest, Sum());
  row.k = static_cast<Real>(combined(k, Sum()));
  if (counts_live(c)) row.live = static_cast<Real>(combined(__popc(held.live), Sum()));
  if (is_smooth(c)) {
    spread(c, held, shift_of(row.m), at, lane, row);
    row.weight = combined(row.weight, Sum());
    row.far = combined(row.far, Sum());
  }
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
