"""Golden traces: what tiny runs, a search tree and games computed when they were last looked at, as small text files.

    python -m tests.traces                  # write tests/golden/*.txt anew, where numbers were meant to change
    python -m tests.traces run_ppo run_dqn  # these alone

Resuming and seeds show that the code agrees with itself; these show that a change of the code changed no number. A
trace ends with hashes of what was computed. They hold where torch, numpy and the processor are those of the trace's
first line; elsewhere sums may be in another order, and `disagreements` compares what must hold everywhere.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from envs.api import CHANCE, TERMINAL, Array, Game
from experiment.checkpoint import newest
from tests.runs import APART, RUNS, lines, raw, train

GOLDEN = Path(__file__).parent / "golden"


def here() -> str:
    """What the last bits of a sum may depend on."""
    import torch

    told: dict[str, str] = {}
    for line in _read("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        told[key.strip()] = value.strip()
    processor = " ".join(told.get(key, "?") for key in ("model name", "cpu family", "model", "stepping"))
    return f"torch {torch.__version__}, numpy {np.__version__}, {torch.backends.cpu.get_cpu_capability()}, {processor}"


def _read(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def digest(*arrays: Array) -> str:
    """Of shapes, types and bytes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def shown(number: float) -> str:
    """Nine digits: what more there is belongs to the hashes."""
    return str(number) if isinstance(number, int) else f"{number:.9g}"


# What is traced ------------------------------------------------------------------------------------------------------


def run(config: dict[str, Any]) -> Iterator[str]:
    """The metrics of a run, without those of the clock, and what it learned."""
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root) / "run"
        assert train(config, directory) == 0
        for line in lines(directory):
            yield " ".join([f"{line.pop('step')}:", *(f"{name}={shown(line[name])}" for name in sorted(line))])
        _, learned, _ = newest(directory / "checkpoints")
        yield f"learned {digest(*_arrays(learned.get('weights', learned.get('solver'))))}"


def _arrays(state: Any) -> Iterator[Array]:
    """Every array in a nested state, in the order of the keys."""
    if isinstance(state, np.ndarray):
        yield state
    elif isinstance(state, dict):
        for key in sorted(state):
            yield from _arrays(state[key])


def search(selection: str, name: str, native: bool, rollouts: bool) -> Iterator[str]:
    """Trees of some positions of a game: what is at their roots, and a hash of all of them."""
    from agents.search.config import SearchOptions
    from agents.search.dynamics import dynamics_of
    from agents.search.rollouts import Rollouts
    from agents.search.search import Search
    from envs.games.make import make_game
    from tests.agents.search.test_search import opinion, some_positions

    game = make_game(name, native)
    positions = some_positions(make_game(name, native), 3, 3)
    evaluator = Rollouts(game, 1) if rollouts else opinion(game)
    options = SearchOptions(selection=selection, simulations=40, proven=selection == "ucb1")  # type: ignore[arg-type]
    tree = Search(dynamics_of(game), options)
    result = tree.run(positions, evaluator, np.arange(3, dtype=np.uint64), explore=selection != "ucb1")
    for row in range(3):
        found = [f"{visits}*{shown(q)}" for visits, q in zip(result.visits[row].tolist(), result.q[row], strict=True)]
        yield f"row {row}: action {result.action[row]}, value {shown(result.value[row, 0])}, {' '.join(found)}"
        nodes, branches = int(tree.tree.nodes[row]), int(tree.tree.branches[row])
        of_nodes = (
            getattr(tree.tree, field)[row, :nodes] for field in ("visits", "value", "prior", "action", "solved")
        )
        of_branches = (
            getattr(tree.tree, field)[row, :branches] for field in ("node", "parent", "first", "width", "seat")
        )
        yield f"row {row}: {nodes} nodes, {branches} branches, {digest(*of_nodes)} {digest(*of_branches)}"
    yield f"result {digest(result.policy, result.value, result.q)}"


def game(name: str, native: bool) -> Iterator[str]:
    """Random games side by side: actions of the first, hashes of what all of them showed."""
    from agents.maths.explore import draw
    from envs.games.make import make_game

    played = make_game(name, native)
    rng, positions = np.random.default_rng(7), played.initial(4)
    actions: list[str] = []
    seen = hashlib.sha256()
    while (going := played.seat(positions) != TERMINAL).any():
        where = np.flatnonzero(going)
        chances = _chances(played, positions[where])
        chosen = draw(chances, rng.random(len(where)))
        if going[0]:
            actions.append(str(chosen[0]))
        seats = played.seat(positions[where])
        acting = where[seats != CHANCE]
        if len(acting):
            for array in (played.observe(positions[acting]), played.legal(positions[acting])):
                seen.update(digest(np.asarray(array)).encode())
        positions = positions.copy()
        positions[where] = played.step(positions[where], chosen)
    yield f"actions {' '.join(actions)}"
    yield f"returns {played.returns(positions).tolist()}"
    yield f"shown {seen.hexdigest()[:16]}"


def _chances(played: Game, positions: Any) -> Array:
    """[n, A] what a random player and chance do."""
    luck = played.seat(positions) == CHANCE
    return np.where(luck[:, None], played.chance(positions), played.legal(positions).astype(float))


def world(name: str) -> Iterator[str]:
    """Random steps in an environment."""
    from agents.config import Environment
    from agents.contenders import UniformPolicy
    from agents.experience.rollout import make_env

    env = make_env(Environment(id=name, max_episode_steps=None if name.startswith("game:") else 40), 3)
    rng, step, policy = np.random.default_rng(7), env.reset(11), UniformPolicy(env.spec.actions)
    seen = [np.asarray(step.obs)]
    total = np.zeros(env.spec.seats)
    for _ in range(100):
        step = env.step(policy.act({}, step, rng, True).action)
        total += step.reward.sum(0)
        seen += [step.obs, step.reward, step.terminated, step.truncated, step.final_obs]
    env.close()
    yield f"reward {[shown(float(part)) for part in total]}"
    yield f"shown {digest(*map(np.asarray, seen))}"


def match() -> Iterator[str]:
    """Two players of the arena."""
    from agents.arena.match import play, streams
    from agents.entrants import entrant
    from envs.games.make import make_game
    from experiment.seeding import Seeds

    board = make_game("connect_four")
    players = [entrant("mcts:20", board), entrant("one_ply", board)]
    played = play(board, players, 6, streams(Seeds(5), ["a", "b"]), 2)
    yield f"returns {played.returns[:, 0].tolist()}"
    yield f"moves {played.moves.tolist()}"


NATIVE = ("breakthrough(rows=5,columns=4)", "connect_four", "go(board_size=5)", "hex(board_size=5)", "kuhn_poker",
          "leduc_poker", "othello", "tic_tac_toe")  # fmt: skip
TRACES: dict[str, Callable[[], Iterator[str]]] = {
    **{f"run_{name}": partial(run, raw(name)) for name in RUNS},
    **{f"run_{name}": partial(run, config) for name, config in APART.items()},
    "search_ucb1_rollouts": partial(search, "ucb1", "connect_four(rows=4,columns=5)", True, True),
    "search_puct": partial(search, "puct", "connect_four", True, False),
    "search_puct_chance": partial(search, "puct", "leduc_poker", True, False),
    "search_gumbel": partial(search, "gumbel", "othello", True, False),
    "search_puct_adapted": partial(search, "puct", "tic_tac_toe", False, False),
    "search_ucb1_adapted": partial(search, "ucb1", "tic_tac_toe", False, True),
    **{f"game_{name.partition('(')[0]}": partial(game, name, True) for name in NATIVE},
    "game_liars_dice": partial(game, "liars_dice(numdice=1)", False),
    "game_pig": partial(game, "pig(winscore=20)", False),
    "world_CartPole-v1": partial(world, "CartPole-v1"),
    "world_Pendulum-v1": partial(world, "Pendulum-v1"),
    "world_turns": partial(world, "game:connect_four"),
    "match": match,
}
NEEDS = {"run_atari": "ale_py", "search_puct_adapted": "pyspiel", "search_ucb1_adapted": "pyspiel",
         "game_liars_dice": "pyspiel", "game_pig": "pyspiel", "run_fit": "sklearn",
         "run_fit_numbers": "sklearn"}  # fmt: skip


# Comparing -----------------------------------------------------------------------------------------------------------


def disagreements(golden: str, found: str) -> list[str]:
    """Lines that differ: all of them on the machine of the golden trace, elsewhere only those that hold anywhere."""
    (made_on, *before), (now_on, *after) = golden.splitlines(), found.splitlines()
    if made_on != now_on:
        before, after = [_anywhere(line) for line in before], [_anywhere(line) for line in after]
    differing = [f"was: {old}\nnow: {new}" for old, new in zip(before, after, strict=False) if old != new]
    if len(before) != len(after):
        differing.append(f"{len(before)} lines, now {len(after)}")
    return differing


def _anywhere(line: str) -> str:
    """Steps and the names of what was logged; numbers of games, which no processor changes."""
    if line.startswith(("actions ", "returns ", "moves ")):
        return line
    return " ".join(word.partition("=")[0] for word in line.split() if "=" in word or word.endswith(":"))


def trace(name: str) -> str:
    return "\n".join([here(), *TRACES[name]()]) + "\n"


def main(names: list[str]) -> None:
    for name in [name for name in TRACES if not names or name in names]:
        file = GOLDEN / f"{name}.txt"
        file.write_text(trace(name))
        print(file)


if __name__ == "__main__":
    main(sys.argv[1:])
