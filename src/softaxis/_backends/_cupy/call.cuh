// Calls: what every kernel is given, and what is asked of a row.
#pragma once

// How much is asked for beside the plain function: nothing; a mask, numbers, -x in place of x; all.
// A constant of the compilation.
#define PLAIN (ASKED == 0)
#define ALL (ASKED == 2)

// As _calls.py packs it. A row has `count` parts, and `parts` holds what the kernels leave there; of
// a row that shared memory keeps, a block has `count` elements.
struct Call {
  const Element* x;
  const unsigned char* mask;  // or the second array of a vector-Jacobian product
  Result* out;
  double* parts;
  const Index* labels;    // one for each row
  const double* counted;  // what a gradient is divided by; where it is null, `divisor`
  Real* losses;           // one for each row
  const Real *temperatures, *sinks, *class_weights;
  Index rows, length, inner, count;
  Strides of_x, of_mask, of_out, of_temperature, of_sink;
  double temperature, sink, divisor, smoothing, z_loss;
  Index ignored, ignores, has_sink, negated;
};
static_assert(sizeof(Call) == CALL_BYTES, "not what _calls.py packs");

// Whether every element of a row has a result, and whether its label is looked at.
__device__ inline bool is_written() {
  return FUNCTION <= LOG_SOFTMAX || FUNCTION == CROSS_ENTROPY_AND_GRAD;
}
__device__ inline bool has_loss() {
  return FUNCTION == CROSS_ENTROPY || FUNCTION == CROSS_ENTROPY_AND_GRAD;
}

// What is asked of one row.
struct Asked {
  Real t = 1, sink = 0;
  bool has_sink = false, negated = false;
  const Real* heat = nullptr;  // temperatures along the row
  Index heat_step = 0;

  __device__ Asked() {}

  __device__ Asked(const Call& c, Index r) {
    if (PLAIN) return;
    t = static_cast<Real>(c.temperature);
    sink = static_cast<Real>(c.sink);
    has_sink = c.has_sink != 0;
    negated = c.negated != 0;
    if (!ALL) return;
    if (c.sinks != nullptr) sink = c.sinks[c.of_sink.row(r, c.inner)];
    if (c.temperatures == nullptr) return;
    const Real* of_row = c.temperatures + c.of_temperature.row(r, c.inner);
    if (c.of_temperature.length == 0) {
      t = *of_row >= Real(0) ? *of_row : not_a_number<Real>();
    } else {
      heat = of_row;
      heat_step = c.of_temperature.length;
    }
  }

  // An element as it takes part.
  __device__ Real of(Real x, Index position) const {
    if (negated) x = -x;
    return ALL && heat != nullptr ? heated(x, heat[position * heat_step]) : x;
  }
};

// Where a row lies, and what is asked of it.
struct Place {
  const Element* x;
  const unsigned char* mask;
  Result* out;
  Asked by;

  __device__ Place(const Call& c, Index r)
      : x(c.x + c.of_x.row(r, c.inner)),
        mask(c.mask == nullptr ? nullptr : c.mask + c.of_mask.row(r, c.inner)),
        out(c.out + c.of_out.row(r, c.inner)),
        by(c, r) {}
};
