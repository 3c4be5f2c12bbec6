"""What a finished model is built for: one file a backend, found by name through `registry`."""
