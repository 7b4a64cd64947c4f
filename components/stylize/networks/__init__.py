"""Networks that others trained: what each hears, its layers, and its weights from a file."""
