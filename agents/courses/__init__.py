"""What goes on under a run: actors feed a learner, or a solver iterates."""
