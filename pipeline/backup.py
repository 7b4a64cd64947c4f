"""Backups of a workspace: one file, whole, that brings it back elsewhere."""
