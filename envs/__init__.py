"""Worlds: numpy and numba only."""
