"""Where experience waits for the learner."""
