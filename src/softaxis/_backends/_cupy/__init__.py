"""CUDA kernels for CuPy arrays: layout, configuration, compilation, launch."""
