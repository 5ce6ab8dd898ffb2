"""Kernels written in Triton, which Triton compiles for a GPU or interprets.

A program holds a tile in registers: ROWS rows, BLOCK elements of each. A row that is no longer is
read once. A longer one lies in `count` tiles and is read twice: `_rows.parts` leaves numbers about
each tile, `_rows.join` makes one set of them for each row, and a function's own kernel finds these
in `known`.
"""
