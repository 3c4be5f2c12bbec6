"""graphopt: an ONNX graph-rewriting compiler whose every step is declared and checked."""
