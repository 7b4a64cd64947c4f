"""Measurements of audiostyle beside what one would use instead; each a module, run with -m."""
