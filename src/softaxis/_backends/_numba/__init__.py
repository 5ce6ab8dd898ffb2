"""Fused kernels for NumPy arrays, compiled by numba."""
