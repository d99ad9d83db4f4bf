"""Networks that map inputs to targets, and what trains them."""
