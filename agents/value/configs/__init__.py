"""Configs of the algorithms that learn action values, one file each, and beside each a YAML of tiny runs."""
