"""Networks that map inputs to targets, their losses, optimizers and data."""
