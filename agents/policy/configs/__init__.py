"""Configs of the policy gradients, one file each, and beside each a YAML of tiny runs."""
