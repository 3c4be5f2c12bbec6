"""The rules that ship with graphopt: one folder a phase."""
