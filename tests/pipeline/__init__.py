"""Compiling as a whole: recipes, passes, rules of users, bad input, interruption, and what is left behind."""
