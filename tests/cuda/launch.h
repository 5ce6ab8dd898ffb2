// The kernels of `rows.cu` behind one C function, for ctypes.
#pragma once
#define GIVEN                                                                                     \
  x, mask, out, parts, rows, length, inner, count, x_outer, x_length, x_inner, mask_outer,         \
      mask_length, mask_inner, out_outer, out_length, out_inner, temperature, sink, has_sink,      \
      negated, op

extern "C" __attribute__((visibility("default"))) int launch(int kernel, int blocks, int threads, int backwards, ARGUMENTS) {
  return run_grid(blocks, threads, backwards, [&] {
    if (kernel == 0) whole(GIVEN);
    if (kernel == 1) parts_of(GIVEN);
    if (kernel == 2) merge(GIVEN);
    if (kernel == 3) finish(GIVEN);
  });
}
