"""Data sets in the layouts in which they are published: one module a family of layouts."""
