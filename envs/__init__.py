"""Worlds: Gymnasium environments and games behind two interfaces (`envs.api`). numpy and numba only."""
