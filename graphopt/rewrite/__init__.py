"""The rewriting engine: compiled rules, an index by operator, a worklist, a journal."""
