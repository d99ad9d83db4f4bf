"""Pure functions on arrays and tensors: nothing here knows worlds, runs or learners."""
