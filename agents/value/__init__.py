"""Algorithms that learn what actions are worth."""
