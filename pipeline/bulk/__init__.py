"""Bulk jobs: very many pairs into one place, each exactly once, whatever fails."""
