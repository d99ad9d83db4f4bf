"""Configs of the solvers of imperfect information, one file each, and beside each a YAML of tiny runs."""
