"""Configs of the algorithms that imitate, one file each, and beside each a YAML of tiny runs."""
