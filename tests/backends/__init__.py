"""Backends: real builds in real child processes."""
