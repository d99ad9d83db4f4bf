"""Networks that model data: autoencoders, variational ones, adversaries, and how far from the data samples are."""
