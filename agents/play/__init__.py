"""Playing against an agent, and watching two of them: one session, shown on a page or at the terminal."""
