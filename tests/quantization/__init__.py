"""Tests of graphopt.quantization."""
