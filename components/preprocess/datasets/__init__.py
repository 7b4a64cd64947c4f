"""Data sets, one module each: where it is published, how to recognize it, its labels and splits.

A module with a `DEFINITION` in this package is all that a new one needs; see `registry`.
"""
