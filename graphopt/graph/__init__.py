"""The graph: load and save, use-def with captures, names, types, constants, validator, accounting."""
