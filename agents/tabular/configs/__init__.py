"""Configs of what fits in tables, one file each, and beside each a YAML of tiny runs."""
