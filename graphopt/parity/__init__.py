"""Whether two models give the same outputs: how to run them, how to compare them, and how equal is equal enough."""
