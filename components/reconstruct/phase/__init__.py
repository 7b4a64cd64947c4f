"""Phase retrieval: from magnitudes to a signal."""
