// Numbers: the maxima taken out of the sum, and what becomes of the rows that hold infinities.
//
// With m the maximum of a row, z = (x - m) / t, k the number of elements with z = 0 and rest the sum
// of exp(z) over the others, sum exp(x / t) = exp(m / t) (k + rest) and
// log(k + rest) = log(k) + log1p(rest / k), which keeps its accuracy where one element dominates.
#pragma once

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }
__device__ inline float log_of(float x) { return logf(x); }
__device__ inline double log_of(double x) { return log(x); }
__device__ inline float log1p_of(float x) { return log1pf(x); }
__device__ inline double log1p_of(double x) { return log1p(x); }
__device__ inline float expm1_of(float x) { return expm1f(x); }
__device__ inline double expm1_of(double x) { return expm1(x); }

// What FUNCTION may be.
constexpr int SOFTMAX = 0, LOG_SOFTMAX = 1, LOGSUMEXP = 2, LOGMEANEXP = 3, CROSS_ENTROPY = 4,
              CROSS_ENTROPY_AND_GRAD = 5, HARDMAX = 6, SOFTMAX_VJP = 7, LOG_SOFTMAX_VJP = 8;

template <class R>
__device__ R infinity() {
  return static_cast<R>(__longlong_as_double(0x7ff0000000000000ll));
}

template <class R>
__device__ R not_a_number() {
  return static_cast<R>(__longlong_as_double(0x7ff8000000000000ll));
}

// What to subtract: m, 0 where m is -inf, NaN where it is +inf or NaN.
template <class R>
__device__ R shift_of(R m) {
  return m == -infinity<R>() ? R(0) : m < infinity<R>() ? m : not_a_number<R>();
}

// (x - shift) / t with its limits: maxima only at 0, uniform at inf. Halves keep the difference
// finite where t is at work: 1e308 - (-1e308) overflows, its half does not.
template <class R>
__device__ R cooled(R x, R shift, R t) {
  const R z = x - shift;
  if (t == R(1)) return z;
  if (t == R(0)) return z < R(0) ? -infinity<R>() : z;
  if (t == infinity<R>()) return z < R(0) ? (x == -infinity<R>() ? x : R(0)) : z;
  return (x / R(2) - shift / R(2)) / t * R(2);
}

// x / t with its limits, for a temperature that varies along the row.
template <class R>
__device__ R heated(R x, R t) {
  const R most = infinity<R>();
  if (!(t >= R(0))) return not_a_number<R>();
  if (t == R(0) || !(x > -most && x < most)) return x > R(0) ? most : x < R(0) ? -most : x;
  return t == most ? R(0) : x / t;
}

// A row, or a part of one: its maximum, k, rest, and how many elements the mask leaves in; of these,
// for labels that are smoothed, the sum of the class weights w, and that of w (m - x).
template <class R>
struct Row {
  R m, k, rest, live, weight, far;
};

template <class R>
__device__ R log_sum(R k, R rest) {
  return log_of(k) + log1p_of(rest / k);
}

// What turns an element into its probability or the logarithm of that.
template <class R>
struct Normalizer {
  R shift, t;
  R above;        // how far the sink stands above the maximum
  R inverse;      // 1 / ((k + rest) exp(-above) + exp(sink - m / t - above))
  R logarithm;    // log(k + rest + exp(sink - m / t))
  R blank;        // for a row of -inf: NaN, or what a sink leaves of it
  bool is_blank;

  __device__ Normalizer(const Row<R>& row, R t_, bool has_sink, R sink, bool is_log) : t(t_) {
    const R low = -infinity<R>();
    const R k = row.k == R(0) ? R(1) : row.k;
    shift = shift_of(row.m);
    is_blank = row.m == low;
    blank = not_a_number<R>();
    above = R(0);
    if (!has_sink) {
      inverse = R(1) / (k + row.rest);
      logarithm = is_log ? log_sum(k, row.rest) : R(0);
      return;
    }
    R top = shift / t;
    if (t == R(0)) top = shift > R(0) ? -low : shift < R(0) ? low : shift;
    const R gap = sink == low && top == top ? low : sink - top;
    above = gap > R(0) ? gap : R(0);
    const R small = exp_of(gap > R(0) ? -gap : gap);
    inverse = R(1) / (gap > R(0) ? (k + row.rest) * small + R(1) : (k + row.rest) + small);
    logarithm = gap > R(0) ? above + log1p_of((k + row.rest) * small)
                           : log_of(k) + log1p_of((row.rest + small) / k);
    if (gap > low) blank = is_log ? low : R(0);
  }

  // From one kernel to the next, by way of five float64 numbers.
  __device__ void leave(double* numbers) const {
    numbers[0] = is_blank ? -infinity<double>() : shift;
    numbers[1] = above;
    numbers[2] = inverse;
    numbers[3] = logarithm;
    numbers[4] = blank;
  }

  __device__ Normalizer(const double* numbers, R t_)
      : shift(shift_of(static_cast<R>(numbers[0]))),
        t(t_),
        above(static_cast<R>(numbers[1])),
        inverse(static_cast<R>(numbers[2])),
        logarithm(static_cast<R>(numbers[3])),
        blank(static_cast<R>(numbers[4])),
        is_blank(numbers[0] == -infinity<double>()) {}

  // The probability of x, or its logarithm; its position does not matter.
  __device__ R of(R x, Index) const {
    if (is_blank) return blank;
    const R z = cooled(x, shift, t);
    return FUNCTION == SOFTMAX ? exp_of(z - above) * inverse : z - logarithm;
  }
};

// logsumexp and logmeanexp: m + log(k / n) + log1p(rest / k), n = 1 for the sum.
template <class R>
__device__ R reduced(const Row<R>& row, bool is_mean) {
  if (is_mean && row.live == R(0)) return not_a_number<R>();
  if (!(row.m > -infinity<R>() && row.m < infinity<R>())) return row.m;
  const R share = is_mean ? row.k / row.live : row.k;
  return row.m + (log_of(share) + log1p_of(row.rest / row.k));
}
