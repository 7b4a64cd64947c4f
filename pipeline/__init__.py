"""The pipelines: what runs when, on this machine or on a cluster. Nothing imports from here."""
