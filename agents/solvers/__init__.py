"""Solvers that know the truth about small games, and what measures players by it."""
