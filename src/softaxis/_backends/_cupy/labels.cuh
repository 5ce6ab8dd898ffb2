// Labels: the loss of a row, and its slope in each logit.
//
// With w the class weights, a the smoothing, u the number of classes that the mask leaves in,
// L = log(k) + log1p(rest / k) and z = x - m,
//
//     v_c   = w_c ((1 - a) [c = y] + a / u),   V = sum v_c
//     loss  = sum_c v_c (L - z_c) + z_loss lse**2,   lse = m + L
//     slope = p_c (V - v_c) - v_c (1 - p_c) + 2 z_loss lse p_c
//
// where 1 - p_c is summed from the other classes if p_c is the largest: no term cancels.
#pragma once

template <class R>
struct Label {
  Index y;  // -1 where it names no class
  bool is_ignored;
  const Real* weights;
  R main = 1, share = 0, z_loss = 0;  // 1 - a, a / u

  __device__ Label(const Call& c, Index r, R live) : y(c.labels[r]), weights(c.class_weights) {
    is_ignored = c.ignores && y == c.ignored;
    if (y < 0 || y >= c.length) y = -1;
    if (!ALL) return;
    main = static_cast<R>(1.0 - c.smoothing);
    share = static_cast<R>(c.smoothing) / (live == R(0) ? R(1) : live);
    z_loss = static_cast<R>(c.z_loss);
  }

  __device__ R weight(Index of) const {
    return ALL && weights != nullptr ? static_cast<R>(weights[of]) : R(1);
  }

  __device__ static R lse(const Row<R>& row) {
    const R low = -infinity<R>();
    return row.m == low ? low : shift_of(row.m) + log_sum(row.k, row.rest);
  }

  // Of a logit that is -inf where the class is masked.
  __device__ Real loss(const Row<R>& row, R logit) const {
    if (is_ignored) return Real(0);
    if (y < 0) return not_a_number<Real>();
    const R l = log_sum(row.k == R(0) ? R(1) : row.k, row.rest);
    const R z = logit - shift_of(row.m), v = weight(y) * main;
    if (!ALL) return static_cast<Real>(l - z);
    R sum = v == R(0) ? R(0) : v * (l - z);
    const bool is_spread = share != R(0) && (row.weight != R(0) || row.far != R(0));
    if (is_spread) sum += share * (row.far + row.weight * l);
    if (z_loss != R(0)) sum += z_loss * lse(row) * lse(row);
    return static_cast<Real>(sum);
  }
};

// The loss of row r; `of` is where it lies.
template <class R>
__device__ Real loss_of(const Call& c, Index r, const Place& of, const Row<R>& row) {
  const Label<R> label(c, r, row.live);
  const Index y = label.y < 0 ? 0 : label.y;
  const bool is_live = PLAIN || of.mask == nullptr || of.mask[y * c.of_mask.length];
  const R logit = is_live ? static_cast<R>(wide(of.x[y * c.of_x.length])) : -infinity<R>();
  return label.loss(row, logit);
}

// The slopes of a row, divided by what a mean divides by.
struct Slope {
  Label<Real> label;
  Real shift, k, rest, factor;
  Real mass = 1, pull = 0;  // V, 2 z_loss lse
  bool is_blank;

  __device__ Slope(const Call& c, Index r, const Row<Real>& row)
      : label(c, r, row.live), shift(shift_of(row.m)), k(row.k), rest(row.rest) {
    const double divisor = c.counted == nullptr ? c.divisor : *c.counted;
    factor = static_cast<Real>(1.0 / divisor) / (k + rest);
    is_blank = label.y < 0 || row.m == -infinity<Real>();
    if (!ALL || is_blank) return;
    mass = label.weight(label.y) * label.main;
    if (label.share != Real(0)) mass += label.share * row.weight;
    if (label.z_loss != Real(0)) pull = Real(2) * label.z_loss * Label<Real>::lse(row);
  }

  __device__ Real of(Real x, Index position) const {
    if (label.is_ignored) return Real(0);
    if (is_blank) return not_a_number<Real>();
    const Real z = x - shift, e = exp_of(z);
    const Real others = z == Real(0) ? (k - Real(1)) + rest : (k + rest) - e;
    if (!ALL) return (position == label.y ? -others : e) * factor;
    const Real main = position == label.y ? label.main : Real(0);
    const Real v = label.weight(position) * (main + label.share);
    return (e * ((mass - v) + pull) - v * others) * factor;
  }
};
