"""The rule language: grammar, parser, syntax tree, checks."""
