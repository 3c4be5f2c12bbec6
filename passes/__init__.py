"""The passes that ship with graphopt, one a file: the file's name is the pass's name."""
