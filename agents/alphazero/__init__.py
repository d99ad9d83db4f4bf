"""AlphaZero: a network that learns from self-play with search."""
