"""How small, quick and right models become, next to the peers: `python -m benchmarks.optimize --help`."""
