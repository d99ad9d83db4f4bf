"""How experience is made, judged and kept: rollouts, memories, reward models, logs."""
