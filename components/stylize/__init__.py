"""Stage 3: content and style recordings become stylised spectrograms."""
