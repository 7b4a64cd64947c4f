"""Kubeflow Pipelines: its settings, its API, what is sent to it and what becomes of that."""
