"""Algorithms that learn a policy with the help of a value function."""
