"""Minimizing functions of n numbers: by gradients, by curvature, and by populations. In numpy, float64."""
