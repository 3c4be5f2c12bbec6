"""Shipped rules, each changed in one place: a verifier that is worth its name finds that they are wrong."""
