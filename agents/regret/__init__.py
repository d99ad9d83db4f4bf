"""Imperfect information: compiled game trees, counterfactual regret minimization, best responses, linear programs."""
