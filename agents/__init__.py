"""Algorithms that act: the four roles, the mathematics they share, and one file per algorithm."""
