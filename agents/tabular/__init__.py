"""Exact solutions and simple learning rules for worlds small enough to be written down as arrays."""
