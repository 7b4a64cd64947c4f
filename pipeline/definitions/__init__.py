"""The pipelines, and what their tasks are given on Kubernetes."""
