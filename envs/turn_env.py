"""Any Game as a VectorEnv: in each row one seat is to move, and chance moves by itself.

`step.seat` says whose `obs` and `mask` a row shows. `step.reward` pays every seat what the last action, and the luck
after it, brought it: a seat's own reward accrues until its next move. In a row that ended, `final_obs` is what the seat
saw that moved last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import CHANCE, TERMINAL, Array, Discrete, EnvError, Game, Positions, Spec, Step
from envs.gymnasium_env import episode_seed


class TurnEnv:
    """B games at once (`envs.api.VectorEnv`). Step arrays are new at each step: callers may keep them.

    The luck of an episode comes from its own seed, so an episode is its seed and the actions of its seats, and so is
    a snapshot.
    """

    def __init__(self, game: Game, count: int) -> None:
        if count < 1:
            raise ValueError(f"{game.spec.name}: count is {count}, at least 1 row is needed")
        rules = game.spec
        self.spec = Spec(
            rules.name, rules.obs_shape, "float32", Discrete(rules.actions), True, rules.seats, zero_sum=rules.zero_sum
        )
        self.count = count
        self._game = game
        self._current: Step | None = None
        self._seed = 0
        self._episode = [0] * count
        self._played: list[list[int]] = [[] for _ in range(count)]  # actions of the seats in each row's episode
        self._luck: list[np.random.Generator] = []
        self._positions: Positions = game.initial(0)
        self._paid: Array = np.zeros((count, rules.seats))  # of the returns of each row's game so far

    def reset(self, seed: int) -> Step:
        """Start episode 0 of every row with `episode_seed(seed, row, 0)`."""
        self._seed, self._episode = seed, [0] * self.count
        self._played = [[] for _ in range(self.count)]
        self._luck = [self._stream(row) for row in range(self.count)]
        self._positions = self._begin(list(range(self.count)))
        self._paid = np.zeros((self.count, self.spec.seats))
        none = np.zeros(self.count, bool)
        self._current = self._show(np.zeros((self.count, self.spec.seats)), none)
        return self._current

    def step(self, action: Array) -> Step:
        """The seat to move of every row moves. Raises EnvError: an action is illegal; ValueError: not a batch."""
        if self._current is None:
            raise RuntimeError("reset(seed) the environment before its first step")
        action = np.asarray(action)
        if action.shape != (self.count,) or action.dtype.kind not in "iu":
            found = f"not {action.dtype} {list(action.shape)}"
            raise ValueError(f"{self.spec.name} takes actions int64 [{self.count}], {found}")
        self._refuse_illegal(action, self._current.mask)
        mover = self._current.seat
        for played, chosen in zip(self._played, action.tolist(), strict=True):
            played.append(chosen)
        positions = self._settle(self._game.step(self._positions, action), list(range(self.count)))
        returns = self._game.returns(positions)
        reward, ended = returns - self._paid, self._game.seat(positions) == TERMINAL
        self._positions, self._paid = positions, returns
        if not ended.any():
            self._current = self._show(reward, ended)
            return self._current
        last = self._game.observe(positions[ended], mover[ended])
        rows = np.flatnonzero(ended).tolist()
        for row in rows:
            self._episode[row] += 1
            self._played[row] = []
            self._luck[row] = self._stream(row)
        positions[ended], returns[ended] = self._begin(rows), 0.0
        shown = self._show(reward, ended)
        final_obs = shown.obs.copy()
        final_obs[ended] = last
        self._current = shown._replace(final_obs=final_obs)
        return self._current

    def state_dict(self) -> dict[str, Any]:
        """The seed, each row's episode number and actions since it began (rows one after another), the last Step."""
        if self._current is None:
            return {"started": False}
        step = self._current
        return {
            "started": True,
            "game": self.spec.name,
            "seed": self._seed,
            "episodes": np.array(self._episode, np.int64),
            "lengths": np.array([len(played) for played in self._played], np.int64),
            "actions": np.array([action for played in self._played for action in played], np.int64),
            "reward": step.reward.copy(),
            "terminated": step.terminated.copy(),
            "final_obs": step.final_obs.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Play each row's episode again and return the Step of that moment.

        Raises ValueError for a state of another number of rows, another game, or an environment that was never reset.
        """
        if not state["started"]:
            raise ValueError("this is the state of an environment that was never reset: call reset(seed) instead")
        if (state["game"], len(state["lengths"])) != (self.spec.name, self.count):
            found = f"the state is of {len(state['lengths'])} x {state['game']}, not {self.count} x {self.spec.name}"
            raise ValueError(f"{found}: load it with the same game and env.count as it was saved with")
        self._seed, self._episode = int(state["seed"]), [int(episode) for episode in state["episodes"]]
        self._luck = [self._stream(row) for row in range(self.count)]
        bounds = np.cumsum(state["lengths"])[:-1]
        self._played = [part.tolist() for part in np.split(state["actions"], bounds)]
        self._positions = self._begin(list(range(self.count)))
        for row, played in enumerate(self._played):
            for action in played:
                following = self._game.step(self._positions[row : row + 1], np.array([action]))
                self._positions[row : row + 1] = self._settle(following, [row])
        fresh = (state["lengths"] == 0)[:, None]  # what the luck before the first move brought is paid by that move
        self._paid = np.where(fresh, 0.0, self._game.returns(self._positions))
        ended = state["terminated"].copy()
        shown = self._show(state["reward"].copy(), ended)
        self._current = shown._replace(final_obs=np.where(_like(ended, shown.obs), state["final_obs"], shown.obs))
        return self._current

    def render(self, row: int = 0) -> Array:
        """One row's board, uint8 [H, W, 3]. Raises ValueError for a game that can't be drawn."""
        if self._current is None:
            raise RuntimeError("reset(seed) the environment before it is drawn")
        picture: Array = self._game.picture(self._positions[row : row + 1])[0]
        return picture

    def close(self) -> None:
        """Nothing is held open."""

    def _stream(self, row: int) -> np.random.Generator:
        return np.random.default_rng(episode_seed(self._seed, row, self._episode[row]))

    def _begin(self, rows: list[int]) -> Positions:
        """New games in these rows, as they are when somebody is to move."""
        positions = self._settle(self._game.initial(len(rows)), rows)
        over = self._game.seat(positions) == TERMINAL
        if over.any():
            raise self._failure("the game ended before anybody could move", rows[int(over.argmax())], "none (reset)")
        return positions

    def _settle(self, positions: Positions, rows: list[int]) -> Positions:
        """Let chance move in these rows until a seat is to move or the game is over."""
        while (lucky := np.flatnonzero(self._game.seat(positions) == CHANCE)).size:
            bound = self._game.chance(positions[lucky]).cumsum(1)
            drawn = np.array([self._luck[rows[place]].random() for place in lucky])
            outcome = (bound > (drawn * bound[:, -1])[:, None]).argmax(1)
            positions[lucky] = self._game.step(positions[lucky], outcome)
        return positions

    def _show(self, reward: Array, terminated: Array) -> Step:
        positions = self._positions
        obs, mask, seat = self._game.observe(positions), self._game.legal(positions), self._game.seat(positions)
        final_mask = mask | terminated[:, None]  # all True after the end, where nobody asks
        return Step(obs, mask, seat, reward, terminated, np.zeros(self.count, bool), obs, final_mask)

    def _refuse_illegal(self, action: Array, mask: Any) -> None:
        exists = (action >= 0) & (action < mask.shape[1])
        wrong = ~exists | ~mask[np.arange(self.count), np.where(exists, action, 0)]
        if wrong.any():
            row = int(wrong.argmax())
            legal = np.flatnonzero(mask[row]).tolist()
            raise self._failure(f"the action is illegal, legal are {legal}", row, str(action[row]))

    def _failure(self, reason: str, row: int, action: str) -> EnvError:
        seed = episode_seed(self._seed, row, self._episode[row])
        return EnvError(f"{self.spec.name}: {reason}", row, seed, len(self._played[row]), action)


def _like(rows: Array, obs: Array) -> Array:
    return rows.reshape(-1, *[1] * (obs.ndim - 1))
