"""Measures of results, one module each: what the report page tells beside the sounds.

A module with a function `measure` in this package is all that a new one needs; see `registry`.
"""
