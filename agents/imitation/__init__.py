"""Learning from what others do."""
