"""Stage 3: content and style recordings become stylized spectrograms."""
