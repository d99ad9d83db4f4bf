"""A game walked once into flat arrays, on which the solvers run.

    tree = compile_tree(make_game("leduc_poker"))
    tree = cached_tree(make_game("leduc_poker"), Path("trees"))       # from disk, if it is there and unharmed

Four kinds of things are numbered from 0; an index of one kind is always int32.

nodes [N]       every history, in breadth-first order: node 0 is the root, a parent precedes its children, and the
                children of a node are `first_child .. first_child + children - 1`, in the order of their actions.
infosets [I]    what a seat can't tell apart. Seat p owns `infoset_start[p] .. infoset_start[p + 1] - 1`, ordered by how
                many decisions of its own came before, then by parent sequence: parents first, and what follows on
                one sequence is contiguous. Solvers walk them backwards for values and forwards for reach.
sequences [S]   everything that a seat may have done so far: its last infoset and the action there. Seat p owns
                `sequence_start[p] .. sequence_start[p + 1] - 1`. The first of these is its empty sequence; then come
                `infoset_first[i] .. infoset_first[i] + infoset_actions[i] - 1` of its infosets i, in order.
                A policy, a table of regrets, a realization plan: each is one float64 array [S].
terminals [T]   the nodes where the game is over, in the order of the nodes.

The k-th child of a node of infoset i is reached by sequence `infoset_first[i] + k`: a walk over nodes never searches.
Perfect recall is required, and checked: all nodes of an infoset follow on the same sequence of its seat.
In a game of perfect information every decision node is an infoset of its own, even where the game gives two of them the
same key (a position that is reached in two ways), as perfect recall demands it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import envs.games
from envs.api import CHANCE, TERMINAL, Array, Game, GameSpec, Positions
from experiment.checkpoint import CheckpointError, newest, save

MEMORY = 4 << 30  # bytes that a tree may take, unless told otherwise
_FORMAT = 1  # of a tree on disk; another number is another folder
_BATCH = 4096  # positions stepped at once
_NODE_BYTES = 29  # of the arrays per node
_INFOSET_BYTES = 320  # of Python's objects for an infoset during the walk, roughly
_STATE_BYTES = 1024  # of one position that is a Python object, roughly
_PROBES = 256

Progress = Callable[[int, int], None]  # is told the depth and the number of nodes so far, after each batch


@dataclass(frozen=True)
class GameTree:
    """See the module's docstring. No array may be changed."""

    name: str  # of the game
    seats: int  # P
    zero_sum: bool

    seat: Array  # [N] int8, who moves; CHANCE or TERMINAL where nobody does
    parent: Array  # [N] int32, -1 for the root
    action: Array  # [N] int32, action or chance outcome that led here, -1 for the root
    first_child: Array  # [N] int32; 0 at terminals
    children: Array  # [N] int32, how many
    chance: Array  # [N] float64, with which probability chance leads here from the parent; 1 where a seat moves there
    label: Array  # [N] int32: the infoset of a decision node, the terminal's number at a terminal, -1 at chance nodes

    infoset_start: Array  # [P + 1] int32, where each seat's infosets begin
    infoset_parent: Array  # [I] int32, the sequence after which it comes
    infoset_first: Array  # [I] int32, its first sequence
    infoset_actions: Array  # [I] int32, how many actions are legal
    infoset_depth: Array  # [I] int32, how many decisions of the same seat came before

    sequence_start: Array  # [P + 1] int32, where each seat's sequences begin
    sequence_infoset: Array  # [S] int32, -1 for the empty ones
    sequence_action: Array  # [S] int32, as the game numbers it, -1 for the empty ones

    terminal_sequence: Array  # [T, P] int32, the last sequence of each seat
    terminal_reach: Array  # [T] float64, product of the chances on the way
    returns: Array  # [T, P] float64

    key_bytes: Array  # [K] uint8, all keys in UTF-8, one after the other
    key_start: Array  # [I + 1] int64, where each infoset's key begins

    @property
    def nodes(self) -> int:
        return len(self.seat)

    @property
    def infosets(self) -> int:
        return len(self.infoset_first)

    @property
    def sequences(self) -> int:
        return len(self.sequence_action)

    @property
    def terminals(self) -> int:
        return len(self.returns)

    @property
    def two_player_zero_sum(self) -> bool:
        return self.seats == 2 and self.zero_sum

    @property
    def nbytes(self) -> int:
        arrays = (getattr(self, field.name) for field in fields(self))
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    @cached_property
    def payoffs(self) -> Array:
        """[T, P] returns times the chance of getting there, if all seats play that way."""
        return self.returns * self.terminal_reach[:, None]

    @cached_property
    def infoset_seat(self) -> Array:
        """[I] int8"""
        return np.repeat(np.arange(self.seats, dtype=np.int8), np.diff(self.infoset_start))

    @cached_property
    def sequence_parent(self) -> Array:
        """[S] int32, what was done before the last action; -1 for the empty sequences."""
        return np.where(self.sequence_infoset < 0, -1, self.infoset_parent[self.sequence_infoset]).astype(np.int32)

    @cached_property
    def named(self) -> dict[tuple[int, str], list[int]]:
        """The infosets of (seat, key): one, but several for a position of a game of perfect information."""
        found: dict[tuple[int, str], list[int]] = {}
        for infoset, seat in enumerate(self.infoset_seat.tolist()):
            found.setdefault((seat, self.key(infoset)), []).append(infoset)
        return found

    def key(self, infoset: int) -> str:
        """What the game calls it."""
        return bytes(self.key_bytes[self.key_start[infoset] : self.key_start[infoset + 1]]).decode()

    def slice(self, infoset: int) -> slice:
        """The sequences of its actions."""
        first = int(self.infoset_first[infoset])
        return slice(first, first + int(self.infoset_actions[infoset]))


# Compiling -----------------------------------------------------------------------------------------------------------


def compile_tree(game: Game, memory_bytes: int = MEMORY, progress: Progress | None = None) -> GameTree:
    """Walk a whole game. Raises MemoryError, with the number of bytes, before more than `memory_bytes` are taken.

    A sample of games tells beforehand what is far too large; what is near the limit is refused by exact count, batch by
    batch, before a batch is made. Raises ValueError for a game in which a seat forgets what it did.
    """
    _refuse_by_sample(game, memory_bytes)
    walk = _Walk(game, memory_bytes)
    frontier, depth = walk.root(), 0
    while len(frontier.node):
        parts = []
        for begin in range(0, len(frontier.node), _BATCH):
            parts.append(walk.expand(_Frontier(*(column[begin : begin + _BATCH] for column in frontier))))
            if progress is not None:
                progress(depth, walk.nodes)
        frontier, depth = _Frontier(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), depth + 1
    return _numbered(game.spec, walk)


class Size(NamedTuple):
    """An estimate from random games."""

    nodes: float
    terminals: float

    def nbytes(self, seats: int) -> float:
        """What the arrays of nodes and terminals take: infosets come on top."""
        return _NODE_BYTES * self.nodes + _terminal_bytes(seats) * self.terminals


def estimate_size(game: Game, probes: int = _PROBES, seed: int = 0, enough: float = float("inf")) -> Size:
    """How large the tree is, from random games alone (Knuth 1975, "Estimating the efficiency of backtrack programs").

    Each game counts its node at depth d as many times as there were choices on the way. That is unbiased, but varies
    much, and is mostly too low, where games differ in length. The games stop as soon as there are `enough` nodes.
    """
    rng = np.random.default_rng(seed)
    positions = game.initial(probes)
    alive = np.arange(probes)
    weight, nodes, terminals = np.ones(probes), np.ones(probes), np.zeros(probes)
    while len(alive) and nodes.mean() <= enough:
        legal = game.legal(positions)
        weight[alive] *= legal.sum(1)
        chosen = np.where(legal, rng.random(legal.shape), -1.0).argmax(1)
        positions = game.step(positions, chosen)
        nodes[alive] += weight[alive]
        over = game.seat(positions) == TERMINAL
        terminals[alive[over]] += weight[alive[over]]
        positions, alive = positions[~over], alive[~over]
    return Size(float(nodes.mean()), float(terminals.mean()))


def _refuse_by_sample(game: Game, memory_bytes: int) -> None:
    """By Markov's inequality an unbiased estimate is a hundred times too high in at most one of a hundred cases."""
    size = estimate_size(game, enough=100 * memory_bytes / _NODE_BYTES)
    needed = size.nbytes(game.spec.seats)
    if needed > 100 * memory_bytes:
        raise _too_large(
            game, f"is estimated to take at least {needed:.2g} bytes ({size.nodes:.2g} nodes)", memory_bytes
        )


def _too_large(game: Game, found: str, memory_bytes: int) -> MemoryError:
    return MemoryError(
        f"the tree of {game.spec.name} {found}, but memory_bytes is {memory_bytes}: "
        "choose a smaller game, or mccfr with table=growing, which samples and needs no tree"
    )


def _terminal_bytes(seats: int) -> int:
    return 8 + 12 * seats


class _Frontier(NamedTuple):
    """Nodes that are not over and wait for their children to be made."""

    node: Array  # [n] int32
    position: Positions  # [n, ...]
    seat: Array  # [n] int8
    last: Array  # [n, P] int32, last sequence of each seat, as numbered during the walk
    reach: Array  # [n] float64, of chance


class _Walk:
    """What has been found so far. Infosets and sequences have the order of their discovery, seats mixed."""

    def __init__(self, game: Game, memory_bytes: int) -> None:
        self.game, self.memory_bytes = game, memory_bytes
        first = game.initial(1)
        self.position_bytes = _STATE_BYTES if first.dtype == object else first.nbytes
        self.nodes, self.terminals, self.key_length = 0, 0, 0
        self.columns: dict[str, list[Array]] = {}  # by name of the Tree's array, one part for each batch
        self.known: dict[tuple[int, str], int] = {}
        self.keys: list[bytes] = []
        self.infoset_seat: list[int] = []
        self.infoset_parent: list[int] = []
        self.infoset_first: list[int] = []
        self.infoset_legal: list[bytes] = []  # the row of the mask
        self.sequences = game.spec.seats  # the empty ones come first

    def root(self) -> _Frontier:
        seats = self.game.spec.seats
        none, empty = np.full(1, -1, np.int32), np.arange(seats, dtype=np.int32)[None]
        return self._arrive(self.game.initial(1), none, none, np.ones(1), empty, np.ones(1))

    def expand(self, at: _Frontier) -> _Frontier:
        """Make the children of these nodes, and return those that go on."""
        legal = self.game.legal(at.position)
        infoset = self._infosets(at, legal)
        row, action = np.nonzero(legal)
        count = legal.sum(1)
        first = np.cumsum(count) - count
        self._put(label=infoset, children=count, first_child=self.nodes + first)
        self._require(len(row), len(at.node))
        last, chance = at.last[row], np.ones(len(row))
        drawn, moved = np.flatnonzero(at.seat[row] == CHANCE), np.flatnonzero(at.seat[row] >= 0)
        if len(drawn):
            chance[drawn] = self.game.chance(at.position)[row[drawn], action[drawn]]
        rank = np.arange(len(row)) - first[row]
        starts = np.array(self.infoset_first, np.int64)
        last[moved, at.seat[row[moved]]] = (starts[infoset[row[moved]]] + rank[moved]).astype(np.int32)
        following = self.game.step(at.position[row], action)
        return self._arrive(following, at.node[row], action, chance, last, at.reach[row] * chance)

    def _arrive(
        self, position: Positions, parent: Array, action: Array, chance: Array, last: Array, reach: Array
    ) -> _Frontier:
        """Number new nodes, and put those away at which the game is over."""
        seat = self.game.seat(position).astype(np.int8)
        node = np.arange(self.nodes, self.nodes + len(seat), dtype=np.int32)
        self.nodes += len(seat)
        self._put(seat=seat, parent=parent, action=action, chance=chance)
        over, on = seat == TERMINAL, seat != TERMINAL
        self.terminals += int(over.sum())
        returns = self.game.returns(position[over])
        self._put(terminal=node[over], terminal_sequence=last[over], terminal_reach=reach[over], returns=returns)
        self._put(inner=node[on])
        return _Frontier(node[on], position[on], seat[on], last[on], reach[on])

    def _infosets(self, at: _Frontier, legal: Array) -> Array:
        """The infoset of each of these nodes, [n] int32; -1 at chance nodes."""
        found = np.full(len(at.node), -1, np.int32)
        rows = np.flatnonzero(at.seat >= 0)
        if not len(rows):
            return found
        seats = at.seat[rows].tolist()
        parents = at.last[rows, at.seat[rows]].tolist()
        keys = self.game.information_state(at.position[rows])
        alone = self.game.spec.perfect_information
        for row, seat, parent, key in zip(rows.tolist(), seats, parents, keys, strict=True):
            infoset = None if alone else self.known.get((seat, key))
            if infoset is None:
                infoset = self._discover(seat, parent, key, legal[row])
            elif self.infoset_parent[infoset] != parent or self.infoset_legal[infoset] != legal[row].tobytes():
                differ = "own past" if self.infoset_parent[infoset] != parent else "legal actions"
                raise ValueError(
                    f"{self.game.spec.name}: seat {seat} can't tell apart two positions, of key {key!r}, in which its "
                    f"{differ} differ: without perfect recall the solvers of compiled trees don't apply"
                )
            found[row] = infoset
        return found

    def _discover(self, seat: int, parent: int, key: str, legal: Array) -> int:
        infoset, text = len(self.keys), key.encode()
        if not self.game.spec.perfect_information:
            self.known[seat, key] = infoset
        self.keys.append(text)
        self.key_length += len(text)
        self.infoset_seat.append(seat)
        self.infoset_parent.append(parent)
        self.infoset_first.append(self.sequences)
        self.infoset_legal.append(legal.tobytes())
        self.sequences += int(legal.sum())
        return infoset

    def _put(self, **parts: Array) -> None:
        for name, part in parts.items():
            self.columns.setdefault(name, []).append(part if part.dtype.itemsize < 8 else _narrow(part))

    def _require(self, more: int, waiting: int) -> None:
        """Raises MemoryError if so many more nodes don't fit."""
        nodes = self.nodes + more
        needed = (
            nodes * _NODE_BYTES
            + self.terminals * _terminal_bytes(self.game.spec.seats)
            + self.sequences * 8
            + len(self.keys) * (_INFOSET_BYTES + self.game.spec.actions)
            + self.key_length * 2
            + (waiting + more) * self.position_bytes
        )
        if needed > self.memory_bytes:
            raise _too_large(self.game, f"takes more than {needed} bytes ({nodes} nodes so far)", self.memory_bytes)


def _narrow(part: Array) -> Array:
    return part if part.dtype == np.float64 else part.astype(np.int32)


# Numbering -----------------------------------------------------------------------------------------------------------


def _numbered(spec: GameSpec, walk: _Walk) -> GameTree:
    """The arrays of a finished walk, with infosets and sequences in their final order."""
    column = {name: np.concatenate(walk.columns.pop(name)) for name in list(walk.columns)}
    seat, parent = np.array(walk.infoset_seat, np.int8), np.array(walk.infoset_parent, np.int32)
    first = np.array(walk.infoset_first, np.int32)
    masks = np.frombuffer(b"".join(walk.infoset_legal), bool).reshape(len(first), spec.actions)
    count = masks.sum(1).astype(np.int32)
    depth = _depths(
        parent, np.concatenate([np.full(spec.seats, -1, np.int32), np.repeat(np.arange(len(first)), count)])
    )
    order, sequence = _order(spec.seats, seat, parent, depth, first, count)
    renumbered = np.empty(len(order), np.int32)
    renumbered[order] = np.arange(len(order), dtype=np.int32)

    label = np.full(walk.nodes, -1, np.int32)
    label[column["inner"]] = np.where(column["label"] >= 0, renumbered[column["label"]], -1)
    label[column["terminal"]] = np.arange(walk.terminals, dtype=np.int32)
    children, first_child = np.zeros((2, walk.nodes), np.int32)
    children[column["inner"]], first_child[column["inner"]] = column["children"], column["first_child"]

    sequence_infoset, sequence_action = np.full((2, walk.sequences), -1, np.int32)
    sequence_infoset[sequence[spec.seats :]] = np.repeat(renumbered, count)
    sequence_action[sequence[spec.seats :]] = np.nonzero(masks)[1]
    keys = [walk.keys[infoset] for infoset in order]
    return GameTree(
        name=spec.name,
        seats=spec.seats,
        zero_sum=spec.zero_sum,
        seat=column["seat"],
        parent=column["parent"],
        action=column["action"],
        first_child=first_child,
        children=children,
        chance=column["chance"],
        label=label,
        infoset_start=np.searchsorted(seat[order], np.arange(spec.seats + 1)).astype(np.int32),
        infoset_parent=sequence[parent[order]],
        infoset_first=sequence[first[order]],
        infoset_actions=count[order],
        infoset_depth=depth[order],
        sequence_start=np.append(sequence[: spec.seats], walk.sequences).astype(np.int32),
        sequence_infoset=sequence_infoset,
        sequence_action=sequence_action,
        terminal_sequence=sequence[column["terminal_sequence"]],
        terminal_reach=column["terminal_reach"],
        returns=column["returns"],
        key_bytes=np.frombuffer(b"".join(keys), np.uint8),
        key_start=np.cumsum([0, *map(len, keys)]),
    )


def _depths(parent: Array, owner: Array) -> Array:
    """[I] int32: how many infosets lie above each on its seat's own path; `owner` [S] is -1 for empty sequences."""
    depth, above = np.zeros(len(parent), np.int32), owner[parent]
    while (above >= 0).any():
        depth += above >= 0
        above = np.where(above >= 0, owner[parent[above]], -1)
    return depth


def _order(seats: int, seat: Array, parent: Array, depth: Array, first: Array, count: Array) -> tuple[Array, Array]:
    """The infosets [I] in their final order, and the final number of each sequence [S]."""
    order: list[Array] = []
    sequence = np.full(seats + int(count.sum()), -1, np.int32)
    following = 0
    for p in range(seats):
        sequence[p] = following
        following += 1
        own = np.flatnonzero(seat == p)
        for level in range(int(depth[own].max(initial=-1)) + 1):
            found = own[depth[own] == level]
            found = found[np.argsort(sequence[parent[found]], kind="stable")]
            counts = count[found]
            total = int(counts.sum())
            within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            sequence[np.repeat(first[found], counts) + within] = following + np.arange(total)
            following += total
            order.append(found)
    return np.concatenate(order), sequence


# On disk -------------------------------------------------------------------------------------------------------------


def cached_tree(game: Game, directory: Path, memory_bytes: int = MEMORY, progress: Progress | None = None) -> GameTree:
    """The tree as an earlier call has written it under `directory`, or else compiled and written there.

    What lies there holds data only and is verified by digest; what is damaged is compiled anew. Its folder is named by
    the game and by a digest of the rules' sources, so that a tree of other rules is never taken for this one.
    """
    folder = Path(directory) / f"{re.sub(r'[^A-Za-z0-9_]+', '-', game.spec.name)}-{_rules_digest(game.spec.name)}"
    if folder.is_dir():
        try:
            _, state, about = newest(folder)
            return GameTree(**about["tree"], **state["tree"])
        except (CheckpointError, TypeError, KeyError):
            pass  # nothing is lost: it is made again
    tree = compile_tree(game, memory_bytes, progress)
    values: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    save(folder, 0, {"tree": arrays}, {"tree": {name: values[name] for name in values if name not in arrays}})
    return tree


def _rules_digest(name: str) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {name}".encode())
    for source in sorted(Path(next(iter(envs.games.__path__))).glob("*.py")):
        digest.update(source.read_bytes())
    try:
        digest.update(version("open_spiel").encode())
    except PackageNotFoundError:
        digest.update(b"without OpenSpiel")
    return digest.hexdigest()[:16]
