"""The conformance suite of `envs.api.Game`: `check_game(make_game("hex(board_size=5)"), games=20, seed=0)`.

Every test of a game ends with it. Only what the interface shows is looked at, so it fits any game; whether the rules
are the right ones is for the game's own tests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.api import CHANCE, TERMINAL, Array, Game, GameSpec, IllegalAction, Positions


class Look(NamedTuple):
    """All that a game tells of n positions."""

    seat: Array  # [n] int64
    legal: Array  # [n, A] bool
    chance: Array  # [n, A] float64
    returns: Array  # [n, P] float64
    obs: Array  # [1 + P, n, *obs] float32: by default, then as seen by each seat
    keys: list[list[str]]  # [1 + P][n] information states, likewise


def check_game(game: Game, games: int, seed: int) -> None:
    """Assert that a game keeps to the interface while `games` random games are played to their ends, in lockstep.

    Raises AssertionError with the rule that was broken. The game must allow random play to come to an end.
    """
    rng = np.random.default_rng(seed)
    spec = game.spec
    positions = game.initial(games)
    look = _look(game, positions)
    _assert_equal(look, _look(game, game.initial(games)), "the first position differs from one call to the next")
    _check_empty(game)
    moves = np.zeros(games, np.int64)
    known: dict[tuple[int, str], bytes] = {}  # the legal actions at each information state
    mirror = _Mirror(game, games)
    while len(positions):
        _check_look(spec, look)
        _check_information(look, known)
        mirror.check(look)
        _check_alone(game, positions, look, int(rng.integers(len(positions))))
        _check_refusals(game, positions, look, rng)
        assert (moves <= spec.max_length).all(), f"max_length is {spec.max_length}, a game has {moves.max()} moves"
        going = look.seat != TERMINAL
        positions, moves, legal, chance = positions[going], moves[going], look.legal[going], look.chance[going]
        mirror.keep(going)
        before = _look(game, positions)
        moves += before.seat != CHANCE
        weight = np.where((before.seat == CHANCE)[:, None], chance, legal)
        actions = _draw(weight, rng)
        mirror.step(actions)
        following = game.step(positions, actions)
        _assert_equal(before, _look(game, positions), "a step changed the positions that it was given")
        look = _look(game, following)
        if len(positions):
            row = int(rng.integers(len(positions)))
            single = _look(game, game.step(positions[row : row + 1], actions[row : row + 1]))
            _assert_equal(single, _rows(look, row), f"row {row} steps otherwise beside others than alone")
        positions = following


class _Mirror:
    """The same games, each as seen by one of the game's symmetries."""

    def __init__(self, game: Game, games: int) -> None:
        same, observed = game.symmetries(), int(np.prod(game.spec.obs_shape))
        for index, (cells, actions) in enumerate(same):
            sound = actions.shape == (game.spec.actions,) and _permutes(actions)
            assert sound, f"symmetry {index}: actions is no permutation of 0 to {game.spec.actions - 1}"
            fits = cells.ndim == 1 and _permutes(cells) and (not observed or observed % max(len(cells), 1) == 0)
            assert fits, f"symmetry {index}: cells is no permutation of the cells of {game.spec.obs_shape}"
        first = [bool((part == np.arange(len(part))).all()) for part in same[0]]
        assert all(first), "symmetries: the first changes something"
        assert len({len(cells) for cells, _ in same}) == 1, "symmetries: cells differ in their number"
        self.game, self.positions = game, game.initial(games)
        self.which = np.arange(games)[::-1] % len(same)  # so that a single game is mirrored by the last of them
        self.cells, self.actions = (np.stack(parts) for parts in zip(*same, strict=True))

    def check(self, look: Look) -> None:
        """Assert that the mirrored games show what is shown, mirrored."""
        seat, legal = self.game.seat(self.positions), self.game.legal(self.positions)
        what = f"symmetry {self.which.tolist()} of these rows"
        assert np.array_equal(seat, look.seat), f"{what}: another seat is to move"
        actions = self.actions[self.which]
        assert np.array_equal(legal, np.take_along_axis(look.legal, actions, 1)), f"{what}: other actions are legal"
        chance = self.game.chance(self.positions)
        assert np.array_equal(chance, np.take_along_axis(look.chance, actions, 1)), f"{what}: other chances"
        assert np.array_equal(self.game.returns(self.positions), look.returns), f"{what}: other returns"
        if look.obs[0].size:
            seen = look.obs[0].reshape(len(seat), -1, self.cells.shape[1])
            seen = np.take_along_axis(seen, self.cells[self.which][:, None], 2).reshape(look.obs[0].shape)
            assert np.array_equal(self.game.observe(self.positions), seen), f"{what}: another observation"

    def keep(self, rows: Array) -> None:
        self.positions, self.which = self.positions[rows], self.which[rows]

    def step(self, actions: Array) -> None:
        """Play the mirrored actions: the places to which `actions` come."""
        places = np.argsort(self.actions[self.which], axis=1)
        self.positions = self.game.step(self.positions, places[np.arange(len(actions)), actions])


def _permutes(index: Array) -> bool:
    return bool(np.array_equal(np.sort(index), np.arange(len(index))))


def _look(game: Game, positions: Positions) -> Look:
    seats = [None, *(np.full(len(positions), seat, np.int64) for seat in range(game.spec.seats))]
    return Look(
        game.seat(positions),
        game.legal(positions),
        game.chance(positions),
        game.returns(positions),
        np.stack([game.observe(positions, seat) for seat in seats]),
        [game.information_state(positions, seat) for seat in seats],
    )


def _rows(look: Look, row: int) -> Look:
    here = slice(row, row + 1)
    keys = [keys[here] for keys in look.keys]
    return Look(look.seat[here], look.legal[here], look.chance[here], look.returns[here], look.obs[:, here], keys)


def _draw(weight: Array, rng: np.random.Generator) -> Array:
    """One action for each row, in proportion to weight [n, A]; never one of weight 0."""
    bound = weight.cumsum(1)
    drawn: Array = (bound > rng.random((len(weight), 1)) * bound[:, -1:]).argmax(1)
    return drawn


def _check_empty(game: Game) -> None:
    """No positions at all are a batch too."""
    look = _look(game, game.initial(0))
    shapes = [field.shape for field in look[:4]]
    spec = game.spec
    assert shapes == [(0,), (0, spec.actions), (0, spec.actions), (0, spec.seats)], f"an empty batch: {shapes}"
    assert len(game.step(game.initial(0), np.zeros(0, np.int64))) == 0, "an empty batch grew by a step"


def _check_look(spec: GameSpec, look: Look) -> None:
    """Shapes, types, and what seats, masks, probabilities and returns have to do with each other."""
    n = len(look.seat)
    wanted = {
        "seat": ((n,), "int64"),
        "legal": ((n, spec.actions), "bool"),
        "chance": ((n, spec.actions), "float64"),
        "returns": ((n, spec.seats), "float64"),
        "obs": ((1 + spec.seats, n, *spec.obs_shape), "float32"),
    }
    for name, (shape, dtype) in wanted.items():
        field = getattr(look, name)
        found = f"{name}: {field.dtype} {field.shape}, expected {dtype} {shape}"
        assert field.shape == shape and field.dtype == dtype, found
        assert np.isfinite(field).all(), f"{name} is not finite"
    lucky, over = look.seat == CHANCE, look.seat == TERMINAL
    playing = ~lucky & ~over
    assert (look.seat[playing] >= 0).all() and (look.seat < spec.seats).all(), f"seats: {look.seat}"
    assert spec.chance or not lucky.any(), "chance: there is a chance node, though spec.chance is False"
    assert not look.legal[over].any(), "legal: something is legal after the end"
    assert look.legal[~over].any(1).all(), "legal: nothing is legal, though the game is not over"
    assert not look.chance[~lucky].any(), "chance: probabilities beside chance nodes"
    assert np.allclose(look.chance[lucky].sum(1), 1) and (look.chance >= 0).all(), "chance: they don't sum to 1"
    assert not (look.chance > 0)[~look.legal].any(), "chance: an outcome that is not legal has a probability"
    total = np.abs(look.returns[over].sum(1))
    assert not spec.zero_sum or (total < 1e-9).all(), "returns: a game doesn't sum to 0, though spec.zero_sum is True"
    for row, seat in enumerate(look.seat):
        if seat >= 0:
            own = np.array_equal(look.obs[0, row], look.obs[1 + seat, row])
            assert own, f"observe: by default row {row} is not what seat {seat} sees, which moves"
            key = look.keys[0][row] == look.keys[1 + seat][row]
            assert key, f"information_state: by default row {row} is not what seat {seat} knows, which moves"


def _check_information(look: Look, known: dict[tuple[int, str], bytes]) -> None:
    """Whoever can't tell positions apart has the same actions there."""
    for row, seat in enumerate(look.seat.tolist()):
        if seat >= 0:
            key, legal = look.keys[0][row], look.legal[row].tobytes()
            same = known.setdefault((seat, key), legal) == legal
            assert same, f"information_state: other actions are legal for seat {seat} in one information state {key!r}"


def _check_alone(game: Game, positions: Positions, look: Look, row: int) -> None:
    alone = _look(game, positions[row : row + 1])
    _assert_equal(alone, _rows(look, row), f"row {row} looks otherwise beside others than alone")


def _check_refusals(game: Game, positions: Positions, look: Look, rng: np.random.Generator) -> None:
    """In one random row: actions that don't exist, one that is not legal, and any after the end are refused."""
    row = int(rng.integers(len(positions)))
    wrong = [-1, game.spec.actions]
    if not look.legal[row].all():
        wrong.append(int(rng.choice(np.flatnonzero(~look.legal[row]))))
    others = np.flatnonzero(look.seat != TERMINAL)
    chosen = np.union1d(others, [row])  # rows that are over may not stand beside it: they would be refused themselves
    actions = look.legal[chosen].argmax(1)
    place = int(np.searchsorted(chosen, row))
    for action in wrong:
        actions[place] = action
        try:
            game.step(positions[chosen], actions)
            told = None
        except IllegalAction as error:
            told = str(error)
        when = "after the end" if look.seat[row] == TERMINAL else "where it is not legal"
        assert told is not None, f"illegal actions: {action} was accepted {when}"
        assert f"row {place}:" in told, f"illegal actions: {action} in row {place}, but the error says {told!r}"


def _assert_equal(one: Look, two: Look, what: str) -> None:
    assert one.keys == two.keys, f"{what}: keys"
    for name, mine, theirs in zip(Look._fields[:5], one[:5], two[:5], strict=True):
        assert mine.tobytes() == theirs.tobytes(), f"{what}: {name}"
