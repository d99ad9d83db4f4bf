"""Learning from sampled episodes, without looking at probabilities: values of a policy, and better policies."""
