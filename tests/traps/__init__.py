"""Odd but legal graphs, each of a kind that breaks tools like this one."""
