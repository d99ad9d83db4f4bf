"""Text as rows of numbers: where it comes from, what it is cut into, and how it is written."""
