"""The rules that ship with graphopt, as .rules files by phase; nothing here is Python."""
