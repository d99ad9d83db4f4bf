"""Configs of fits to data, one file each, and beside each a YAML of tiny runs."""
