// The kernels of `rows.cu` behind one C function, for ctypes.
#pragma once
#define GIVEN                                                                                     \
  x, mask, out, parts, rows, length, inner, count, x_outer, x_length, x_inner, mask_outer,         \
      mask_length, mask_inner, out_outer, out_length, out_inner, temperature, sink, has_sink,      \
      negated, labels, ignored, ignores, divisor, counted, losses

static void (*chosen)(ARGUMENTS);
static void (*with_arguments)(void*);
static void* closure;

template <class Call>
static int over_grid(int blocks, int threads, int backwards, Call call) {
  closure = &call;
  with_arguments = [](void* one) { (*static_cast<Call*>(one))(); };
  return run_grid(blocks, threads, backwards, [] { with_arguments(closure); });
}

extern "C" __attribute__((visibility("default"))) int launch(int kernel, int blocks, int threads,
                                                             int backwards, int function, int plain,
                                                             ARGUMENTS) {
  FUNCTION = function;
  PLAIN = plain;
#if IN_PARTS
  chosen = kernel == 1 ? parts_of : kernel == 2 ? merge : finish;
#elif CLUSTER
  chosen = kernel == 5 ? kept : kept_vjp;
#else
  chosen = kernel == 0 ? whole : vjp;
#endif
  return over_grid(blocks, threads, backwards, [&] { chosen(GIVEN); });
}
