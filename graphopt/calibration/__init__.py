"""Calibration: what a model's tensors hold on real data, and the scales that follow from it."""
