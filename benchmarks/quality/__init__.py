"""How good transfers are: `python -m benchmarks.quality`."""
