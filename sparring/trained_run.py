"""What a run has learned: `load("runs/cartpole")` acts, and plays.

Nothing in a run directory executes. Runs that were made with modules of one's own ask for `use(MODULE)` first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiment.seeding import Seeds

if TYPE_CHECKING:
    from agents.api import Player, Policy
    from agents.config import Experiment
    from agents.records import Carry
    from envs.api import Array, Spec


@dataclass(frozen=True)
class TrainedRun(os.PathLike[str]):
    """A run, or one of its checkpoints, as far as it had come when it was loaded. It stands where a path may stand.

    steps: made, in the run's own unit.
    """

    directory: Path
    config: Experiment
    steps: int

    def __fspath__(self) -> str:
        return str(self.directory)

    @cached_property
    def _acting(self) -> tuple[Policy, Spec]:
        from agents.restore import load_policy

        return load_policy(self.directory)

    @cached_property
    def _rng(self) -> np.random.Generator:
        return Seeds(self.config.seed).generator("predict")

    def predict(self, obs: Array, carry: Carry | None = None, mask: Array | None = None) -> tuple[Array, Carry]:
        """What it does, without exploration, and what it remembers for the next step.

        obs: one observation [*obs] or a batch [B, *obs], flattened as the run's world shows it. carry: what the last
        call returned; None at the beginning of an episode. mask: [A] or [B, A] bool, True = legal. Returns the action,
        of one observation or [B, ...]. Raises ValueError for other shapes, and where the run doesn't act in an
        environment.
        """
        from envs.api import Step

        policy, spec = self._acting
        alone, rows = np.shape(obs) == spec.obs_shape, np.asarray(obs, spec.obs_dtype)
        rows = rows[None] if alone else rows
        if rows.shape[1:] != spec.obs_shape:
            raise ValueError(
                f"obs: found shape {list(np.shape(obs))}, expected {list(spec.obs_shape)} or a batch of it"
            )
        legal = np.asarray(mask, bool).reshape(len(rows), -1) if mask is not None else None
        if spec.masked and legal is None:
            raise ValueError(f"mask: is missing, and in {spec.name} not every action is always legal")
        none = np.zeros(len(rows), bool)
        step = Step(rows, legal, np.zeros(len(rows), np.int64), np.zeros((len(rows), spec.seats)), none, none, rows)
        acted = policy.act(policy.initial(len(rows)) if carry is None else carry, step, self._rng, explore=False)
        return (acted.action[0] if alone else acted.action), acted.carry

    def player(self, game: str | None = None, simulations: int | None = None) -> Player:
        """Who plays a game as the run has learned to. simulations: of a search before each move, where it has one.

        Raises ValueError where the run can't play it.
        """
        from agents.entrants import entrant
        from envs.games.make import make_game

        searching = "" if simulations is None else f"@{simulations}"
        return entrant(f"{self.directory}{searching}", make_game(game or self.config.world.name))


def load(run: str | Path | Any) -> TrainedRun:
    """A run directory's newest checkpoint, or the checkpoint in a directory.

    Raises CheckpointError where there is none that is intact, ConfigError where it was made with modules that aren't
    in `use`.
    """
    from agents.restore import load_checkpoint

    path = Path(run)
    config, _, about = load_checkpoint(path)
    return TrainedRun(about["path"], config, about["steps"])
