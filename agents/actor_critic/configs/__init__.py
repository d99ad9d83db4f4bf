"""Configs of the actor-critics, one file each, and beside each a YAML of tiny runs."""
