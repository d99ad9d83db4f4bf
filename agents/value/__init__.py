"""Algorithms whose policy is greedy in learned action values."""
