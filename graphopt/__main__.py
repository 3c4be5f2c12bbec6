"""`python -m graphopt`: the command, where its script is not on the path."""

from graphopt.cli import main

main()
