// Clusters: shared memory, and the blocks that reach into each other's (sm_90 and newer).
//
// PTX in place of cooperative groups, so that no header of CUDA is needed. CLUSTER is the number of
// blocks; with 0 or 1 a block is alone. On a CPU the tests put something else in the place of this.
#pragma once

#ifdef __CUDACC__
#define CONSTANT_IF if constexpr  // what it looks at are variables on a CPU
#define SHARED(V, name, count) __shared__ V name[count]
#define ROOM(V, name) extern __shared__ V name[]  // as much as the launch asks for

#if CLUSTER > 1
#define IN_CLUSTER __cluster_dims__(CLUSTER, 1, 1)

__device__ inline int rank_in_cluster() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// Waits for all threads of the cluster; what they wrote before is seen after.
__device__ inline void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}

// Where block `rank` has what lies at `mine` in this one.
template <class V>
__device__ V* of_block(V* mine, int rank) {
  V* theirs;
  asm("mapa.u64 %0, %1, %2;" : "=l"(theirs) : "l"(mine), "r"(rank));
  return theirs;
}
#else
#define IN_CLUSTER
__device__ inline int rank_in_cluster() { return 0; }
__device__ inline void cluster_barrier() {}
#endif
#endif
