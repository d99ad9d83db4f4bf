"""Policy gradients: learners that move a policy along the gradient of its return, with values beside it at most."""
