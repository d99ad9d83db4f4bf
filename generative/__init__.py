"""Networks that model data."""
