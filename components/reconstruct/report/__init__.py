"""The report page: what went in and what came out, to hear, to see and to compare."""
