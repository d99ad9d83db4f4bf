"""World models: what a world does is learned from pictures, and acting in it within what was learned."""
