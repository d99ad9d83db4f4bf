"""Learning to act: algorithms, the loop that trains them, and the arena where they meet."""
