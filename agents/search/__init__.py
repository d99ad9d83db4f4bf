"""Search over games, and solvers that know the truth about the small ones."""
