"""The run, not the maths: configuration, random streams, metrics, checkpoints, and the run directory."""
