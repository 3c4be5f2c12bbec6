"""Passes, recipes, the pass manager, the gate, and compile."""
