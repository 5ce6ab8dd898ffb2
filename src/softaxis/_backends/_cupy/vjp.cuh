// Vector-Jacobian products of a result and of g, step by step.
#pragma once

struct Same {
  __device__ Real of(Real x, Index) const { return x; }
};

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
