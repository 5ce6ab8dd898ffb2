// Rows: the functions that numbers.cuh lists, of rows that fit in registers.
//
// LANES threads hold a row, or a part of one, in HELD registers each. `whole` reads a row once and
// writes its result once: of n elements of s bytes, n s and n s. kept.cuh and parts.cuh have the
// kernels of longer rows.
//
// Compiled with -DELEMENT and -DRESULT, the dtypes that are read and written, -DLANES, -DHELD,
// -DMAX_THREADS, -DBESIDE (whether neighbouring threads hold neighbouring rows), -DCLUSTER (blocks
// that keep a row; 0 for registers), -DIN_PARTS or one of -DWITHOUT_WHOLE and -DWITHOUT_VJP,
// -DFUNCTION and -DASKED (see call.cuh), and -DCALL_BYTES.
#include "memory.cuh"
#include "cluster.cuh"
#include "team.cuh"
#include "numbers.cuh"
#include "call.cuh"
#include "held.cuh"
#include "labels.cuh"
#include "vjp.cuh"

// One block a multiprocessor is enough, or the compiler would rather spill than use more registers.
#define KERNEL extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1)

#include "kept.cuh"
#include "parts.cuh"

// The rows that a block takes in turns. Those past the end take part in the shuffles with nothing.
#define ROWS(c, r, is_row)                                                                        \
  for (Index first_ = static_cast<Index>(blockIdx.x) * ROWS_A_BLOCK; first_ < (c).rows;           \
       first_ += static_cast<Index>(gridDim.x) * ROWS_A_BLOCK)                                    \
    if (const bool is_row = first_ + ROW_IN_BLOCK < (c).rows; true)                               \
      if (const Index r = is_row ? first_ + ROW_IN_BLOCK : 0; true)

#if !IN_PARTS && !CLUSTER
#if !defined(WITHOUT_WHOLE)
KERNEL whole(const Call c) {
  const int lane = LANE;
  ROWS(c, r, is_row) {
    const Index end = is_row ? c.length : 0;
    const Place of(c, r);
    Held held;
    held.load(c, of, 0, end, lane);
    const Stretch<Result> target{of.out, c.of_out.length, 0, end};
    if (FUNCTION == HARDMAX) {
      held.store(First(held, lane), target, lane);
      continue;
    }
    const Row<Real> row = row_of(c, held, of.by.t, 0, lane);
    if (!is_row) continue;
    if (has_loss()) {
      if (lane == 0) c.losses[r] = loss_of(c, r, of, row);
      if (is_written()) held.store(Slope(c, r, row), target, lane);
    } else if (is_written()) {
      const bool is_log = FUNCTION == LOG_SOFTMAX;
      held.store(Normalizer<Real>(row, of.by.t, of.by.has_sink, of.by.sink, is_log), target, lane);
    } else if (lane == 0) {
      *target.first = Narrow<Result>::of(reduced(row, FUNCTION == LOGMEANEXP));
    }
  }
}
#endif

#if !defined(WITHOUT_VJP)
// Of x, a result, and of g, which comes in the place of the mask.
KERNEL vjp(const Call c) {
  const Asked by;
  ROWS(c, r, is_row) {
    const Index end = is_row ? c.length : 0;
    const Element* other = reinterpret_cast<const Element*>(c.mask) + c.of_mask.row(r, c.inner);
    Held held, g;
    held.load({c.x + c.of_x.row(r, c.inner), c.of_x.length, 0, end}, nullptr, 0, LANE, by);
    g.load({other, c.of_mask.length, 0, end}, nullptr, 0, LANE, by);
    const Real m = combined(held.maximum(), Larger());
    if (FUNCTION == SOFTMAX_VJP) {
      SoftmaxVjp to{m, Real(0), Real(0)};
      to.top = combined(to.top_of(held, g), Larger());
      to.sum = combined(to.sum_over(held, g), Sum());
      to.apply(held, g);
    } else {
      LogSoftmaxVjp to{m, Real(0), Real(0)};
      to.sum = combined(to.sum_over(held, g, false), Sum());
      to.others = combined(to.sum_over(held, g, true), Sum());
      to.apply(held, g);
    }
    held.store(Same(), {c.out + c.of_out.row(r, c.inner), c.of_out.length, 0, end}, LANE);
  }
}
#endif
#endif
