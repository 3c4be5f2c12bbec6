"""The engine: how patterns match, what a firing leaves behind, and when it all ends."""
