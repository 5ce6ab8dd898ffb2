// Kept: rows that the CLUSTER blocks of a cluster keep in their shared memory, `count` elements each.
//
// Of a row of n elements of s bytes, n s are read and n s written, as of rows in registers; of a mask
// 2 n are read. A block goes over its share three times: from memory to shared memory, looking for
// the maximum; for the sum; and for the results. The sum is in the same order whether or not a row
// is aligned, which decides about the other two.
#pragma once
#if CLUSTER

// Two blocks a multiprocessor, of which one loads while the other waits; one where 64 registers a
// thread are too few.
#define IS_LIGHT \
  (FUNCTION == CROSS_ENTROPY_AND_GRAD ? sizeof(Real) == 4 : FUNCTION <= HARDMAX)
#define AT_A_TIME (PLAIN && IS_LIGHT ? 2 : 1)
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
    return {a.m,           a.k + b.k,           a.rest + b.rest,
            a.live + b.live, a.weight + b.weight, a.far + b.far};
  }
};

// The share of a row that this block keeps, and how it goes over it: as much at a time as the
// threads hold in registers, from position `begin` on.
struct Share {
  Index at, end;

  __device__ Share(Index count, Index length) : at(rank_in_cluster() * count), end(at + count) {
    if (end > length) end = length;
  }

  __device__ static Index step() { return LANES * HELD; }

  __device__ Index past(Index begin) const { return begin + step() < end ? begin + step() : end; }

  __device__ void put(Vector* room, const Held& held, Index begin) const {
#pragma unroll
    for (int v = 0; v < HELD; v += VECTOR) {
      const Index first = begin + position(v, LANE);
      if (first >= end) continue;
      Vector chunk;
#pragma unroll
      for (int i = 0; i < VECTOR; ++i)
        chunk.at[i] = Narrow<Element>::of(held.value[v + i]);  // which is a number of its kind
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

  __device__ static bool is_live(const Call& c, const Place& of, Index j) {
    return PLAIN || of.mask == nullptr || of.mask[j * c.of_mask.length];
  }

  // Load and put a row that is not aligned: one element at a time, neighbours by neighbours. Returns
  // the maximum, and adds to `live`.
  __device__ Real load_apart(const Call& c, const Place& of, Vector* room, int& live) const {
    Element* const elements = reinterpret_cast<Element*>(room);
    const Index past = (end - at + VECTOR - 1) / VECTOR * VECTOR;
    Real m = -infinity<Real>();
#pragma unroll 4
    for (Index i = LANE; i < past; i += LANES) {
      const Index j = at + i;
      const bool is_in = j < end && is_live(c, of, j);
      const Real x = is_in ? of.by.of(wide(of.x[j * c.of_x.length]), j) : -infinity<Real>();
      elements[i] = Narrow<Element>::of(x);
      m = Larger()(m, x);
      live += is_in;
    }
    return m;
  }

  template <class By>
  __device__ void write_apart(const Call& c, const Place& of, const Vector* room,
                              const By& by) const {
    const Element* const elements = reinterpret_cast<const Element*>(room);
    for (Index j = at + LANE; j < end; j += LANES) {
      const Real y = is_live(c, of, j) ? by.of(wide(elements[j - at]), j) : of_masked();
      of.out[j * c.of_out.length] = Narrow<Result>::of(y);
    }
  }

  template <class By>
  __device__ void write(const Call& c, const Place& of, const Vector* room, const By& by) const {
    if (!Stretch<Result>{of.out, c.of_out.length, at, end}.is_aligned()) {
      write_apart(c, of, room, by);
      return;
    }
    for (Index begin = at; begin < end; begin += step()) {
      Held held;
      get(room, held, begin, of.mask, c.of_mask.length);
      held.store(by, {of.out, c.of_out.length, begin, past(begin)}, LANE);
    }
  }
};

#define PIECES(begin, share) \
  for (Index begin = (share).at; begin < (share).end; begin += Share::step())

#if !defined(WITHOUT_WHOLE)
KEEPING kept(const Call c) {
  ROOM(Vector, room);
  const Share share(c.count, c.length);
  const bool leads = threadIdx.x == 0 && rank_in_cluster() == 0;
  cluster_barrier();  // all blocks are there before one of them writes to another
  const Index step = gridDim.x / CLUSTER;
  for (Index r = blockIdx.x / CLUSTER; r < c.rows; r += step) {
    const Place of(c, r);
    Held held;
    Row<Real> row{-infinity<Real>()};
    int k = 0, live = 0;
    __syncthreads();  // all threads have written the row before
    if (Stretch<const Element>{of.x, c.of_x.length, share.at, share.end}.is_aligned()) {
      PIECES(begin, share) {
        held.load(c, of, begin, share.past(begin), LANE);
        share.put(room, held, begin);
        row.m = Larger()(row.m, held.maximum());
        live += __popc(held.live);
      }
    } else {
      row.m = share.load_apart(c, of, room, live);
    }
    row.m = over_row<0>(row.m, Larger());
    if (FUNCTION == HARDMAX) {
      int mine = 0x7fffffff;
      PIECES(begin, share) {
        share.get(room, held, begin, of.mask, c.of_mask.length);
        mine = Smaller()(mine, First::among(held, row.m, begin, LANE));
      }
      share.write(c, of, room, First(row.m, over_row<1>(mine, Smaller())));
      continue;
    }
    const Real shift = shift_of(row.m);
    PIECES(begin, share) {
      share.get(room, held, begin, is_smooth(c) ? of.mask : nullptr, c.of_mask.length);
      row.rest += Pairwise<HELD>::rest(held.value, shift, of.by.t, k);
      if (is_smooth(c)) spread(c, held, shift, begin, LANE, row);
    }
    row.rest = combined(row.rest, Sum());
    row.k = static_cast<Real>(combined(k, Sum()));
    if (counts_live(c)) row.live = static_cast<Real>(combined(live, Sum()));
    if (is_smooth(c)) {
      row.weight = combined(row.weight, Sum());
      row.far = combined(row.far, Sum());
    }
    row = exchanged<1>(row, Added());
    if (has_loss()) {
      if (leads) c.losses[r] = loss_of(c, r, of, row);
      if (is_written()) share.write(c, of, room, Slope(c, r, row));
    } else if (is_written()) {
      const bool is_log = FUNCTION == LOG_SOFTMAX;
      share.write(c, of, room,
                  Normalizer<Real>(row, of.by.t, of.by.has_sink, of.by.sink, is_log));
    } else if (leads) {
      *of.out = Narrow<Result>::of(reduced(row, FUNCTION == LOGMEANEXP));
    }
  }
}
#endif

#if !defined(WITHOUT_VJP)
// Of x, a result, and of g, which comes in the place of the mask; both are kept.
KEEPING kept_vjp(const Call c) {
  ROOM(Vector, room);
  Vector* const beside = room + c.count / VECTOR;
  const Share share(c.count, c.length);
  const Asked by;
  cluster_barrier();
  const Index step = gridDim.x / CLUSTER;
  for (Index r = blockIdx.x / CLUSTER; r < c.rows; r += step) {
    const Element* x = c.x + c.of_x.row(r, c.inner);
    const Element* other = reinterpret_cast<const Element*>(c.mask) + c.of_mask.row(r, c.inner);
    Held p, g;
    Real m = -infinity<Real>(), top = m, sum = 0, others = 0;
    PIECES(begin, share) {
      p.load({x, c.of_x.length, begin, share.past(begin)}, nullptr, 0, LANE, by);
      share.put(room, p, begin);
      g.load({other, c.of_mask.length, begin, share.past(begin)}, nullptr, 0, LANE, by);
      share.put(beside, g, begin);
      m = Larger()(m, p.maximum());
    }
    SoftmaxVjp of_softmax{over_row<0>(m, Larger()), Real(0), Real(0)};
    LogSoftmaxVjp of_log{of_softmax.m, Real(0), Real(0)};
#define GET_BOTH                         \
  share.get(room, p, begin, nullptr, 0); \
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
    Result* out = c.out + c.of_out.row(r, c.inner);
    PIECES(begin, share) {
      GET_BOTH;
      if (FUNCTION == SOFTMAX_VJP) {
        of_softmax.apply(p, g);
      } else {
        of_log.apply(p, g);
      }
      p.store(Same(), {out, c.of_out.length, begin, share.past(begin)}, LANE);
    }
  }
}
#endif
#endif
