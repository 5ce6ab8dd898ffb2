// Kept: rows that the CLUSTER blocks of a cluster keep in their shared memory, `count` elements each.
//
// Of a row of n elements of s bytes, n s are read and n s written, as of rows in registers; of a mask
// 2 n are read. A block goes over its share three times: from memory to shared memory, looking for
// the maximum; for the sum; and for the results. A thread finds there what it put there itself.
#pragma once
#if CLUSTER

// Two blocks a multiprocessor, of which one loads while the other waits; one where 64 registers a
// thread are too few.
#define IS_LIGHT (PLAIN ? FUNCTION <= HARDMAX : FUNCTION <= CROSS_ENTROPY && sizeof(Real) == 4)
#define AT_A_TIME (IS_LIGHT ? 2 : 1)
#define KEEPING extern "C" __global__ void IN_CLUSTER __launch_bounds__(MAX_THREADS, AT_A_TIME)

// Joins what the blocks of the cluster have, in the order of a binary tree over their ranks. A round
// has memory of its own. Two of them in turns need one barrier each: who writes for a round has
// passed the barrier of the other one, which everybody reached after reading.
template <int ROUND, class V, class Op>
__device__ V exchanged(V v, Op op) {
#if CLUSTER > 1
  SHARED(V, from, CLUSTER);
  if (threadIdx.x < CLUSTER) *of_block(from + rank_in_cluster(), threadIdx.x) = v;
  cluster_barrier();
  V all[CLUSTER];
#pragma unroll
  for (int i = 0; i < CLUSTER; ++i) all[i] = from[i];
#pragma unroll
  for (int step = 1; step < CLUSTER; step *= 2)
#pragma unroll
    for (int i = 0; i + step < CLUSTER; i += 2 * step) all[i] = op(all[i], all[i + step]);
  v = all[0];
#endif
  return v;
}

template <int ROUND, class V, class Op>
__device__ V over_row(V v, Op op) {
  return exchanged<ROUND>(combined(v, op), op);
}

struct Added {
  __device__ Row<Real> operator()(const Row<Real>& a, const Row<Real>& b) const {
    return {a.m, a.k + b.k, a.rest + b.rest, a.live + b.live};
  }
};

// The share of a row that this block keeps, and how it goes over it: as much at a time as the
// threads hold in registers, from position `begin` on.
struct Share {
  Index at, end;

  __device__ Share(Index count, Index length) : at(rank_in_cluster() * count), end(at + count) {
    if (end > length) end = length;
  }

  static constexpr int STEP = LANES * HELD;

  template <class E>
  __device__ Stretch<E> piece(E* row, Index stride, Index begin) const {
    return {row, stride, begin, begin + STEP < end ? begin + STEP : end};
  }

  __device__ void put(Vector* room, const Held& held, Index begin) const {
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      const Index first = begin + position(v, LANE);
      if (first >= end) continue;
      Vector chunk;
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) chunk.at[i] = narrow(held.value[v + i]);
      room[(first - at) / VECTOR] = chunk;
    }
  }

  // What `put` left, -inf where the mask leaves out; whether it does is looked up once more.
  __device__ void get(const Vector* room, Held& held, Index begin, const unsigned char* mask,
                      Index mask_stride) const {
    held.live = 0;
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      const Index first = begin + position(v, LANE);
      const bool is_kept = first < end;
      Vector chunk;
      if (is_kept) chunk = room[(first - at) / VECTOR];
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        const Index j = first + i;
        const bool is_live = j < end && (PLAIN || mask == nullptr || mask[j * mask_stride]);
        held.value[v + i] = is_kept ? wide(chunk.at[i]) : -infinity<Real>();
        held.live |= static_cast<unsigned>(is_live) << (v + i);
      }
    }
  }
};

#define PIECES(begin, share) \
  for (Index begin = (share).at; begin < (share).end; begin += Share::STEP)

#if !defined(WITHOUT_WHOLE)
KEEPING kept(ARGUMENTS) {
  ROOM(Vector, room);
  const Asked by = asked(temperature, sink, has_sink, negated);
  const Share share(count, length);
  const bool leads = threadIdx.x == 0 && rank_in_cluster() == 0;
  cluster_barrier();  // all blocks are there before one of them writes to another
  const Index step = gridDim.x / CLUSTER;
  for (Index r = blockIdx.x / CLUSTER; r < rows; r += step) {
    const Element* source = x + OF_X.row(r, inner);
    const unsigned char* live = mask == nullptr ? mask : mask + OF_MASK.row(r, inner);
    Element* target = out + OF_OUT.row(r, inner);
    Held held;
    Row<Real> row{-infinity<Real>(), Real(0), Real(0), Real(0)};
    int k = 0, left = 0;
    PIECES(begin, share) {
      held.load(share.piece(source, x_length, begin), live, mask_length, LANE, by.negated);
      share.put(room, held, begin);
      row.m = Larger()(row.m, held.maximum());
      left += __popc(held.live);
    }
    row.m = over_row<0>(row.m, Larger());
    if (FUNCTION == HARDMAX) {
      int mine = 0x7fffffff;
      PIECES(begin, share) {
        share.get(room, held, begin, live, mask_length);
        mine = Smaller()(mine, First::among(held, row.m, begin, LANE));
      }
      const First first(row.m, over_row<1>(mine, Smaller()));
      PIECES(begin, share) {
        share.get(room, held, begin, live, mask_length);
        held.store(first, share.piece(target, out_length, begin), LANE);
      }
      continue;
    }
    const Real shift = shift_of(row.m);
    PIECES(begin, share) {
      share.get(room, held, begin, nullptr, 0);
      row.rest += Pairwise<HELD>::rest(held.value, shift, by.t, k);
    }
    row.rest = combined(row.rest, Sum());
    row.k = static_cast<Real>(combined(k, Sum()));
    if (FUNCTION == LOGMEANEXP) row.live = static_cast<Real>(combined(left, Sum()));
    row = exchanged<1>(row, Added());
    if (has_loss()) {
      const Label label(labels[r], ignored, ignores, length);
      if (leads) losses[r] = label.loss(row, source, x_length, live, mask_length);
      if (!is_written()) continue;
      const Real scale = static_cast<Real>(1.0 / (counted == nullptr ? divisor : *counted));
      const Slope<Real> slope(row.m, row.k, row.rest, scale, label.y, label.is_ignored);
      PIECES(begin, share) {
        share.get(room, held, begin, live, mask_length);
        held.store(slope, share.piece(target, out_length, begin), LANE);
      }
    } else if (is_written()) {
      const Normalizer<Real> n(row, by.t, by.has_sink, by.sink, FUNCTION == LOG_SOFTMAX);
      PIECES(begin, share) {
        share.get(room, held, begin, live, mask_length);
        held.store(n, share.piece(target, out_length, begin), LANE);
      }
    } else if (leads) {
      *target = narrow(reduced(row, FUNCTION == LOGMEANEXP));
    }
  }
}
#endif

#if !defined(WITHOUT_VJP)
// Of x, a result, and of g, which comes in the place of the mask; both are kept.
KEEPING kept_vjp(ARGUMENTS) {
  ROOM(Vector, room);
  Vector* const beside = room + count / VECTOR;
  const Share share(count, length);
  cluster_barrier();
  const Index step = gridDim.x / CLUSTER;
  for (Index r = blockIdx.x / CLUSTER; r < rows; r += step) {
    const Element* other = reinterpret_cast<const Element*>(mask) + OF_MASK.row(r, inner);
    const Element* source = x + OF_X.row(r, inner);
    Element* target = out + OF_OUT.row(r, inner);
    Held p, g;
    Real m = -infinity<Real>(), top = -infinity<Real>(), sum = 0, others = 0;
    PIECES(begin, share) {
      p.load(share.piece(source, x_length, begin), nullptr, 0, LANE, false);
      share.put(room, p, begin);
      g.load(share.piece(other, mask_length, begin), nullptr, 0, LANE, false);
      share.put(beside, g, begin);
      m = Larger()(m, p.maximum());
    }
    SoftmaxVjp of_softmax{over_row<0>(m, Larger()), Real(0), Real(0)};
    LogSoftmaxVjp of_log{of_softmax.m, Real(0), Real(0)};
#define GET_BOTH                           \
  share.get(room, p, begin, nullptr, 0);   \
  share.get(beside, g, begin, nullptr, 0)
    PIECES(begin, share) {
      GET_BOTH;
      if (FUNCTION == SOFTMAX_VJP) {
        top = Larger()(top, of_softmax.top_of(p, g));
      } else {
        sum += of_log.sum_over(p, g, false);
        others += of_log.sum_over(p, g, true);
      }
    }
    if (FUNCTION == SOFTMAX_VJP) {
      of_softmax.top = over_row<1>(top, Larger());
      PIECES(begin, share) {
        GET_BOTH;
        sum += of_softmax.sum_over(p, g);
      }
      of_softmax.sum = over_row<2>(sum, Sum());
    } else {
      of_log.sum = over_row<1>(sum, Sum());
      of_log.others = over_row<2>(others, Sum());
    }
    PIECES(begin, share) {
      GET_BOTH;
      if (FUNCTION == SOFTMAX_VJP) {
        of_softmax.apply(p, g);
      } else {
        of_log.apply(p, g);
      }
      p.store(Same(), share.piece(target, out_length, begin), LANE);
    }
  }
}
#endif
#endif
