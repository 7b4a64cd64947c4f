"""Stage 4: stylized spectrograms become audio, and a report page."""
