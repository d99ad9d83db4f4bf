"""What follows from what was seen: by Markov chains, by optimization, and of programs. In numpy."""
