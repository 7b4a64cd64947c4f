"""Stage 4: stylised spectrograms become audio, and a report page."""
