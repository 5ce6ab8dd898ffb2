"""Benchmarks of softaxis, in the form that asv runs."""
