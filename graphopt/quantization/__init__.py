"""Quantized models made as accurate as int8 allows: ranges, weights and biases, and what is better left in float."""
