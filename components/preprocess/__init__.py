"""Stage 1: a labelled data set becomes a spectrogram set."""
