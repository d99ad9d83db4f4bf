"""Networks, as modules of tensors."""
