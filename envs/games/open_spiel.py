"""Any game of OpenSpiel as `envs.api.Game`: chance, hidden cards, any number of seats.

Simultaneous moves are made one after another, unseen, by OpenSpiel's turn-based transform. Positions are arrays of
pyspiel.State, and a step clones before it acts. pyspiel is imported when the first game is loaded.
https://github.com/google-deepmind/open_spiel
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from envs.api import Array, GameSpec, IllegalAction, Positions, Symmetry
from envs.games.symmetries import identity

UNSOUND = {"morpion_solitaire": "OpenSpiel's moves of it write beyond their memory, which ends the process"}
ACTIONS, NUMBERS = 2**20, 2**24  # of a game, and of an observation, at most


def names() -> list[str]:
    """All short names. Raises ValueError where OpenSpiel is not installed."""
    return sorted(_library().registered_names())


def load(name: str) -> OpenSpielGame:
    """Raises ValueError for what OpenSpiel does not know and for games that are not played in turns."""
    pyspiel = _library()
    if fault := UNSOUND.get(name.partition("(")[0]):
        raise ValueError(f"{name} can't be played: {fault}")
    try:
        game = pyspiel.load_game(name)
        dynamics = game.get_type().dynamics
        if dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
            game = pyspiel.convert_to_turn_based(game)
        elif dynamics != pyspiel.GameType.Dynamics.SEQUENTIAL:
            raise ValueError(f"{name} is a mean field game: it has no single players to move")
        if game.get_type().chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC:
            raise ValueError(f"{name} draws its luck out of sight: neither could a game be repeated nor a chance known")
    except (pyspiel.SpielError, IndexError) as error:
        raise ValueError(f"OpenSpiel can't load {name}: {error}{_wanted(name)}") from error
    try:
        return OpenSpielGame(game, name)
    except pyspiel.SpielError as error:
        raise ValueError(f"OpenSpiel doesn't say what is observed in {name}: {error}") from error


def _wanted(name: str) -> str:
    """The parameters that a game can't be loaded without, as a hint."""
    kinds = {kind.short_name: kind for kind in _library().registered_games()}
    kind = kinds.get(name.partition("(")[0])
    return f" (its parameters: {', '.join(kind.parameter_specification)})" if kind else ""


def _library() -> Any:
    try:
        import pyspiel
    except ImportError as error:
        raise ValueError("this game needs OpenSpiel, which is not installed: pip install 'sparring[peers]'") from error
    return pyspiel


class OpenSpielGame:
    """A sequential pyspiel.Game for many positions at once (`envs.api.Game`); positions are objects [n].

    At chance nodes and after the end `observe` and `information_state` are seat 0's, unless told another seat. A game
    without a tensor of observations shows that of its information state, or else float32 [0].
    """

    def __init__(self, game: Any, name: str) -> None:
        kind = game.get_type()
        if kind.provides_observation_tensor:
            self._tensor, shape = "observation_tensor", game.observation_tensor_shape()
        elif kind.provides_information_state_tensor:
            self._tensor, shape = "information_state_tensor", game.information_state_tensor_shape()
        else:
            self._tensor, shape = "", [0]
        _require_size(game, name, shape)
        luck = type(kind).ChanceMode
        self.spec = GameSpec(
            name=name,
            seats=game.num_players(),
            actions=max(game.num_distinct_actions(), game.max_chance_outcomes()),
            obs_shape=tuple(shape),
            max_length=game.max_game_length(),
            zero_sum=kind.utility == type(kind).Utility.ZERO_SUM,
            chance=kind.chance_mode != luck.DETERMINISTIC,
            perfect_information=kind.information == type(kind).Information.PERFECT_INFORMATION,
            utility=(game.min_utility(), game.max_utility()),
        )
        self._game = game
        self._key = "history_str"
        if kind.provides_information_state_string:
            self._key = "information_state_string"
        elif kind.provides_observation_string:
            self._key = "observation_string"

    def initial(self, n: int) -> Positions:
        return _rows([self._game.new_initial_state() for _ in range(n)])

    def step(self, positions: Positions, actions: Array) -> Positions:
        """Raises IllegalAction, which names the row, for an action that is not legal and after the end."""
        chosen = np.asarray(actions)
        if chosen.shape != (len(positions),) or chosen.dtype.kind not in "iu":
            wanted = f"{self.spec.name} takes one integer for each of {len(positions)} positions"
            raise ValueError(f"{wanted}, not {chosen.dtype} {list(chosen.shape)}")
        following = []
        for row, (state, action) in enumerate(zip(positions, chosen.tolist(), strict=True)):
            legal = state.legal_actions()  # none after the end
            if action not in legal:
                why = "after the end of the game" if state.is_terminal() else f"is not legal, legal are {legal}"
                raise IllegalAction(f"{self.spec.name}, row {row}: action {action} {why}")
            following.append(state.child(action))
        return _rows(following)

    def seat(self, positions: Positions) -> Array:
        return np.array([state.current_player() for state in positions], np.int64)

    def legal(self, positions: Positions) -> Array:
        mask = np.zeros((len(positions), self.spec.actions), bool)
        for row, state in enumerate(positions):
            mask[row, state.legal_actions()] = True
        return mask

    def chance(self, positions: Positions) -> Array:
        probability = np.zeros((len(positions), self.spec.actions))
        for row, state in enumerate(positions):
            if state.is_chance_node():
                for outcome, chance in state.chance_outcomes():
                    probability[row, outcome] = chance
        return probability

    def returns(self, positions: Positions) -> Array:
        return np.array([state.returns() for state in positions], np.float64).reshape(len(positions), self.spec.seats)

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        seen = np.zeros((len(positions), *self.spec.obs_shape), np.float32)
        if self._tensor:
            for row, (state, looks) in enumerate(zip(positions, self._looking(positions, seat), strict=True)):
                seen[row] = np.reshape(getattr(state, self._tensor)(looks), self.spec.obs_shape)
        return seen

    def information_state(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """OpenSpiel's key; without one its observation as text; with neither, the moves so far."""
        if self._key == "history_str":
            return [state.history_str() for state in positions]
        looking = self._looking(positions, seat)
        return [getattr(state, self._key)(looks) for state, looks in zip(positions, looking, strict=True)]

    def information_tensor(self, positions: Positions, seat: Array | None = None) -> Array:
        """OpenSpiel's; what is seen, in a game of perfect information without one. Raises ValueError with neither."""
        kind = self._game.get_type()
        if not kind.provides_information_state_tensor:
            if kind.provides_observation_tensor and self.spec.perfect_information:
                return self.observe(positions, seat).reshape(len(positions), math.prod(self.spec.obs_shape))
            raise ValueError(f"OpenSpiel has no tensor of what is known in {self.spec.name}")
        known = np.zeros((len(positions), math.prod(self._game.information_state_tensor_shape())), np.float32)
        for row, (state, looks) in enumerate(zip(positions, self._looking(positions, seat), strict=True)):
            known[row] = state.information_state_tensor(looks)
        return known

    def symmetries(self) -> list[Symmetry]:
        """OpenSpiel declares none."""
        return [identity(int(np.prod(self.spec.obs_shape)), self.spec.actions)]

    def text(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """OpenSpiel's text of the position; where something is hidden, that of what `seat` observes, or else knows."""
        if self.spec.perfect_information:
            return [str(state) for state in positions]
        told = self._game.get_type().provides_observation_string
        method = "observation_string" if told else self._key
        if method == "history_str":
            raise ValueError(f"{self.spec.name}: OpenSpiel has no text of what a single seat sees")
        looking = self._looking(positions, seat)
        return [getattr(state, method)(looks) for state, looks in zip(positions, looking, strict=True)]

    def picture(self, positions: Positions) -> Array:
        raise ValueError(f"OpenSpiel draws no pictures of {self.spec.name}: `text` tells what a seat sees")

    def _looking(self, positions: Positions, seat: Array | None) -> list[int]:
        seats = np.maximum(self.seat(positions), 0) if seat is None else np.asarray(seat, np.int64)
        if seats.shape != (len(positions),) or ((seats < 0) | (seats >= self.spec.seats)).any():
            wanted = (
                f"{self.spec.name} has seats 0 to {self.spec.seats - 1}, one for each of {len(positions)} positions"
            )
            raise ValueError(f"{wanted}: {seats}")
        looking: list[int] = seats.tolist()
        return looking


def _require_size(game: Any, name: str, shape: Sequence[int]) -> None:
    """Raises ValueError for a game that nothing fits, or whose numbers OpenSpiel could not hold."""
    actions, longest = max(game.num_distinct_actions(), game.max_chance_outcomes()), game.max_game_length()
    if 0 < actions <= ACTIONS and longest > 0 and min(shape, default=0) >= 0 and math.prod(shape) <= NUMBERS:
        return
    found = f"{actions} actions, observations {list(shape)} and {longest} moves at most"
    raise ValueError(
        f"{name} has {found}; expected 1 to {ACTIONS} actions, up to {NUMBERS} numbers observed, and 1 move or more: "
        "choose other parameters"
    )


def _rows(states: list[Any]) -> Positions:
    rows = np.empty(len(states), object)
    rows[:] = states
    return rows
