// Parts: rows too long for registers and shared memory, read twice by three kernels.
//
// `parts_of` leaves what is left of each part, `merge` joins the parts of each row, and `finish` reads
// the row once more and writes. Of a row of n elements of s bytes, 2 n s are read and n s written;
// of a sum, n s and s. A part adds 48 bytes, written and read.
#pragma once
#if IN_PARTS

// What is left of a row, or of a part of one, in float64. The rows lie before the parts.
constexpr int NUMBERS = 6;

template <class R>
__device__ void leave(const Row<R>& row, double* numbers) {
  numbers[0] = row.m;
  numbers[1] = row.k;
  numbers[2] = row.rest;
  numbers[3] = row.live;
  numbers[4] = row.weight;
  numbers[5] = row.far;
}

template <class R>
__device__ Row<R> left(const double* numbers) {
  return {static_cast<R>(numbers[0]), static_cast<R>(numbers[1]), static_cast<R>(numbers[2]),
          static_cast<R>(numbers[3]), static_cast<R>(numbers[4]), static_cast<R>(numbers[5])};
}

// Part p of row r, and of the rows beside it; a block takes group g of the parts.
struct Part {
  Index r, p, at, end;
  bool is_row;

  __device__ Part(const Call& c, Index g)
      : r(g / c.count * ROWS_A_BLOCK + ROW_IN_BLOCK), p(g % c.count), at(p * LANES * HELD) {
    is_row = r < c.rows;
    end = !is_row ? 0 : at + LANES * HELD < c.length ? at + LANES * HELD : c.length;
    if (!is_row) r = 0;
  }

  __device__ static Index groups(const Call& c) {
    return (c.rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK * c.count;
  }
};

KERNEL parts_of(const Call c) {
  for (Index g = blockIdx.x; g < Part::groups(c); g += gridDim.x) {
    const Part part(c, g);
    const Place of(c, part.r);
    Held held;
    held.load(c, of, part.at, part.end, LANE);
    const Row<Real> row = row_of(c, held, of.by.t, part.at, LANE);
    if (part.is_row && LANE == 0)
      leave(row, c.parts + NUMBERS * (c.rows + part.r * c.count + part.p));
  }
}

KERNEL finish(const Call c) {
  for (Index g = blockIdx.x; g < Part::groups(c); g += gridDim.x) {
    const Part part(c, g);
    if (!part.is_row) continue;
    const Place of(c, part.r);
    Held held;
    held.load(c, of, part.at, part.end, LANE);
    const Stretch<Result> target{of.out, c.of_out.length, part.at, part.end};
    const double* numbers = c.parts + NUMBERS * part.r;
    if (has_loss()) {
      held.store(Slope(c, part.r, left<Real>(numbers)), target, LANE);
    } else {
      held.store(Normalizer<Real>(numbers, of.by.t), target, LANE);
    }
  }
}

// One warp a row joins its parts, in float64.
#define MERGERS 32

template <class Op>
__device__ double over_warp(double v, Op op) {
#pragma unroll
  for (int step = 1; step < MERGERS; step *= 2)
    v = op(v, __shfl_xor_sync(0xffffffffu, v, step));
  return v;
}

extern "C" __global__ void __launch_bounds__(MERGERS) merge(const Call c) {
  const int lane = threadIdx.x;
  for (Index r = blockIdx.x; r < c.rows; r += gridDim.x) {
    const Place of(c, r);
    const double t = of.by.t;
    const double* numbers = c.parts + NUMBERS * (c.rows + r * c.count);
    Row<double> row{-infinity<double>()};
    for (Index p = lane; p < c.count; p += MERGERS) row.m = Larger()(row.m, numbers[NUMBERS * p]);
    row.m = over_warp(row.m, Larger());
    const double shift = shift_of(row.m);
    for (Index p = lane; p < c.count; p += MERGERS) {
      const Row<double> part = left<double>(numbers + NUMBERS * p);
      const double z = cooled(part.m, shift, t);
      row.k += z == 0.0 ? part.k : 0.0;
      row.rest += z == 0.0 ? part.rest : (part.k + part.rest) * exp_of(z);
      row.live += part.live;
      row.weight += part.weight;
      row.far += part.far;
      if (part.weight != 0.0) row.far += part.weight * (shift - shift_of(part.m));
    }
    row.k = over_warp(row.k, Sum());
    row.rest = over_warp(row.rest, Sum());
    row.live = over_warp(row.live, Sum());
    if (is_smooth(c)) {
      row.weight = over_warp(row.weight, Sum());
      row.far = over_warp(row.far, Sum());
    }
    if (lane != 0) continue;
    double* of_row = c.parts + NUMBERS * r;
    if (has_loss()) {
      c.losses[r] = loss_of(c, r, of, row);
      leave(row, of_row);
    } else if (!is_written()) {
      *of.out = Narrow<Result>::of(static_cast<Real>(reduced(row, FUNCTION == LOGMEANEXP)));
    } else {
      const double s = of.by.sink;
      Normalizer<double>(row, t, of.by.has_sink, s, FUNCTION == LOG_SOFTMAX).leave(of_row);
    }
  }
}
#endif
