"""Networks that model data. Autoencoders, GANs and world models will live here; nothing does yet."""
