"""Stage 1: a labeled data set becomes a spectrogram set."""
