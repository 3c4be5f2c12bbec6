"""The regression suite: many models, recipes and shapes, compiled and compared, held to what held before."""
