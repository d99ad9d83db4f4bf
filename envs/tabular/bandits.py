"""Many-armed bandits: no state, one choice, a noisy reward. Many independent problems at once, one in each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.api import Array


@dataclass(frozen=True, eq=False)
class Bandits:
    """B problems with K arms each; a pull pays the arm's mean plus normal noise."""

    means: Array  # [B, K] expected rewards
    deviation: float = 1.0  # standard deviation of a reward, the same for all arms

    def __post_init__(self) -> None:
        if np.ndim(self.means) != 2 or not np.isfinite(self.means).all() or self.deviation < 0:
            raise ValueError(
                "bandits need finite means [B, K] and a deviation that is not negative, but found means of shape "
                f"{np.shape(self.means)} and a deviation of {self.deviation}"
            )

    def pull(self, arms: Array, rng: np.random.Generator) -> Array:
        """A reward [B] for arm `arms[b]` of each row b."""
        expected = self.means[np.arange(len(self.means)), arms]
        return np.asarray(rng.normal(expected, self.deviation))


def normal_testbed(rows: int, rng: np.random.Generator, arms: int = 10) -> Bandits:
    """Problems whose means are drawn from a standard normal. Sutton & Barto, section 2.3: 2000 rows of 10 arms."""
    return Bandits(rng.normal(size=(rows, arms)))
