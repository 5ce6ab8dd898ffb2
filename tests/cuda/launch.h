// The kernels of `rows.cu` behind one C function, for ctypes.
#pragma once
static void (*chosen)(Call);
static void (*with_arguments)(void*);
static void* closure;

template <class Call>
static int over_grid(int blocks, int threads, int backwards, Call call) {
  closure = &call;
  with_arguments = [](void* one) { (*static_cast<Call*>(one))(); };
  return run_grid(blocks, threads, backwards, [] { with_arguments(closure); });
}

extern "C" __attribute__((visibility("default"))) int launch(int kernel, int blocks, int threads,
                                                             int backwards, int function, int asked,
                                                             int lanes, int beside,
                                                             const Call* call) {
  FUNCTION = function;
  ASKED = asked;
  LANES = lanes;
  BESIDE = beside;
#if IN_PARTS
  chosen = kernel == 1 ? parts_of : kernel == 2 ? merge : finish;
#elif CLUSTER
  chosen = kernel == 5 ? kept : kept_vjp;
#else
  chosen = kernel == 0 ? whole : vjp;
#endif
  return over_grid(blocks, threads, backwards, [&] { chosen(*call); });
}
