"""What a model is fed with: the user's own samples, or inputs made from shapes and element types."""
