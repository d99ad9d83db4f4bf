"""Finite worlds as plain arrays."""
