"""Tests of graphopt, and the corpus of trained models that they run on."""
