"""What methods are made of: what a recording is (onsets, pitch, bands), and ways to a style."""
