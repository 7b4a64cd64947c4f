"""Stage 2: a spectrogram set becomes a classifier, tracked and registered."""
