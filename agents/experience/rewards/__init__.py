"""What is learned from beside the world's reward, or in its place."""
