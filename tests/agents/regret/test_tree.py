from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.regret.tree import GameTree, cached_tree, compile_tree, estimate_size
from envs.api import CHANCE, TERMINAL
from envs.games.make import make_game

pytest.importorskip("pyspiel")
LIARS_DICE = "liars_dice(numdice=1,dice_sides=2)"


def compiled(name: str) -> GameTree:
    return compile_tree(make_game(name))


@pytest.mark.parametrize(
    ("name", "chance", "play", "terminal", "infosets"),
    [("kuhn_poker", 4, 24, 30, 12), ("leduc_poker", 157, 3780, 5520, 936)],
)
def test_the_published_numbers_of_nodes_and_infosets(
    name: str, chance: int, play: int, terminal: int, infosets: int
) -> None:
    tree = compiled(name)
    assert [(tree.seat == CHANCE).sum(), (tree.seat >= 0).sum(), tree.terminals] == [chance, play, terminal]
    assert tree.infosets == infosets
    assert tree.nodes == chance + play + terminal


@pytest.mark.parametrize("name", ["leduc_poker", "kuhn_poker(players=3)", LIARS_DICE])
def test_every_node_is_where_the_layout_says(name: str) -> None:
    """The whole tree is walked again, one position at a time, along the arrays."""
    game, tree = make_game(name), compiled(name)
    last = np.zeros((tree.nodes, tree.seats), np.int32)
    last[0] = tree.sequence_start[:-1]
    reach = np.ones(tree.nodes)
    positions: list[Any] = [game.initial(1)]
    for node in range(tree.nodes):
        here, seat = positions[node], int(tree.seat[node])
        assert game.seat(here)[0] == seat
        legal = np.flatnonzero(game.legal(here)[0])
        children = range(tree.first_child[node], tree.first_child[node] + tree.children[node])
        assert [tree.action[child] for child in children] == legal.tolist()
        if seat == TERMINAL:
            terminal = tree.label[node]
            assert (tree.returns[terminal] == game.returns(here)[0]).all()
            assert (tree.terminal_sequence[terminal] == last[node]).all()
            assert tree.terminal_reach[terminal] == pytest.approx(reach[node], rel=1e-12)
        if seat >= 0:
            infoset = tree.label[node]
            assert tree.key(infoset) == game.information_state(here)[0]
            assert tree.infoset_parent[infoset] == last[node, seat]
            assert tree.sequence_action[tree.slice(infoset)].tolist() == legal.tolist()
        for rank, child in enumerate(children):
            assert tree.parent[child] == node
            assert len(positions) == child
            positions.append(game.step(here, tree.action[child : child + 1]))
            last[child] = last[node]
            assert tree.chance[child] == (game.chance(here)[0, tree.action[child]] if seat == CHANCE else 1)
            reach[child] = reach[node] * tree.chance[child]
            if seat >= 0:
                last[child, seat] = tree.infoset_first[tree.label[node]] + rank
    assert len(positions) == tree.nodes


@pytest.mark.parametrize("name", ["leduc_poker", "kuhn_poker(players=3)", "tic_tac_toe"])
def test_infosets_and_sequences_are_ordered_as_promised(name: str) -> None:
    tree = compiled(name)
    first = tree.infoset_first
    for p in range(tree.seats):
        own = np.arange(tree.infoset_start[p], tree.infoset_start[p + 1])
        assert (tree.infoset_seat[own] == p).all()
        parents = tree.infoset_parent[own]
        assert (tree.sequence_start[p] <= parents).all() and (parents < first[own]).all()
        assert (np.diff(parents) >= 0).all()  # so what follows on a sequence is contiguous
        assert (np.diff(tree.infoset_depth[own]) >= 0).all()
        ends = np.append(first[own], tree.sequence_start[p + 1])
        assert (np.diff(ends) == tree.infoset_actions[own]).all()
        assert tree.sequence_infoset[tree.sequence_start[p]] == -1
    grown = tree.sequence_infoset >= 0
    assert (tree.sequence_parent[~grown] == -1).all()
    above = tree.sequence_infoset[tree.sequence_parent[grown]]
    depth = np.where(above < 0, 0, tree.infoset_depth[above] + 1)
    assert (depth == tree.infoset_depth[tree.sequence_infoset[grown]]).all()


def test_positions_that_perfect_information_reaches_in_two_ways_stay_apart() -> None:
    tree = compiled("tic_tac_toe")
    assert (tree.nodes, tree.terminals, tree.infosets) == (549_946, 255_168, 294_778)
    assert len(tree.named) == 5_478 - 958  # distinct positions that are not over
    ends = np.bincount(tree.returns[:, 0].astype(int) + 1)
    assert ends.tolist() == [77_904, 46_080, 131_184]


def test_forgetful_seats_are_refused() -> None:
    game: Any = make_game("tic_tac_toe")
    game.spec = dataclasses.replace(game.spec, perfect_information=False)
    with pytest.raises(ValueError, match="tic_tac_toe: seat 1 can't tell apart two positions, .* own past differ"):
        compile_tree(game)


@pytest.mark.parametrize("name", ["go", "connect_four"])
def test_games_far_too_large_are_refused_at_once_with_the_bytes(name: str) -> None:
    with pytest.raises(
        MemoryError, match=rf"{name} is estimated to take at least [\d.]+e\+\d+ bytes .* memory_bytes is"
    ):
        compile_tree(make_game(name))


def test_games_a_little_too_large_are_refused_before_the_batch_that_would_not_fit() -> None:
    game, full = make_game("leduc_poker"), compiled("leduc_poker")
    seen: list[int] = []
    with pytest.raises(MemoryError, match=r"leduc_poker takes more than (\d+) bytes \((\d+) nodes so far\)"):
        compile_tree(game, memory_bytes=full.nbytes, progress=lambda depth, nodes: seen.append(nodes))
    assert 0 < seen[-1] < full.nodes
    compile_tree(game, memory_bytes=8 * full.nbytes, progress=lambda depth, nodes: seen.append(nodes))
    assert seen[-1] == full.nodes


def test_random_games_tell_the_size() -> None:
    size = estimate_size(make_game("leduc_poker"), probes=4000)
    assert size.nodes == pytest.approx(9457, rel=0.1)
    assert size.terminals == pytest.approx(5520, rel=0.1)


def test_a_cached_tree_is_the_same_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    game = make_game(LIARS_DICE)
    calls: list[int] = []

    def tree() -> GameTree:
        return cached_tree(game, tmp_path, progress=lambda depth, nodes: calls.append(nodes))

    def same(one: GameTree, two: GameTree) -> bool:
        pairs = [(getattr(one, field.name), getattr(two, field.name)) for field in dataclasses.fields(GameTree)]
        return all(np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None) for a, b in pairs)

    made = tree()
    count = len(calls)
    assert same(tree(), made) and len(calls) == count
    (file,) = tmp_path.glob("*/*/tree.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="tree.safetensors: is damaged"):
        assert same(tree(), made) and len(calls) == 2 * count
    assert same(tree(), made) and len(calls) == 2 * count  # what was written anew is newer than what is damaged
