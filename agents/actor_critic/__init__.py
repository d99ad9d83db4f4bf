"""Algorithms that learn a policy beside a value."""
