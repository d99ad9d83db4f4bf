"""Asking a player for its moves, and finding out in which games it is to blame when no usable answer comes.

A batch is asked at once. If the answer can't be used (an exception, None, not one integer for each position, too late),
the halves of the batch are asked again, and so on down to single positions: only those forfeit.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, NamedTuple

import numpy as np

from agents.api import Player
from agents.records import Carry, mapped
from envs.api import Array, Positions

READY_SECONDS = 60.0  # for the first answer, which loads and compiles what the player needs


class Misconduct(Exception):
    """Why an answer can't be used."""


class Answer(NamedTuple):
    """What a player said in n positions."""

    carry: Carry  # what it remembers now
    actions: Array  # [n] int64
    faults: dict[int, str]  # for each row without a usable action the reason


class Referee:
    """Stands beside one player during a match.

    seconds: what a move may take; a call for n positions has n times as much, to be spent as the player likes. With it
    the player answers in a thread of its own. A call that is late is waited for once more as long and then judged; one
    that has not come back by then can't be interrupted: the player is `gone`, and forfeits whatever it is asked.
    Code that hangs without ever giving Python's lock back stops the match too: there is no remedy in one process.
    """

    def __init__(self, player: Player, seconds: float | None = None) -> None:
        self.player, self.seconds = player, seconds
        self.gone: str | None = None  # why the player is asked no more
        self._desk = None if seconds is None else _Desk(player)

    def ready(self, positions: Positions, rng: np.random.Generator) -> None:
        """Let the player answer once without counting it, so that compiling is not taken for thinking."""
        if self._desk is None:
            return
        if self._desk.call(self.player.begin(len(positions)), positions, rng, READY_SECONDS) is None:
            self.gone = f"no answer within {READY_SECONDS:g} s when it was to get ready"

    def ask(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> Answer:
        """What the player says in n positions; whether its actions are legal is for the game to say."""
        try:
            return self._answer(carry, positions, rng)
        except Misconduct as fault:
            n = len(positions)
            if n == 1 or self.gone is not None:
                return Answer(carry, np.zeros(n, np.int64), dict.fromkeys(range(n), str(fault)))
        half = n // 2
        first = self.ask(mapped(lambda a: a[:half], carry), positions[:half], rng)
        second = self.ask(mapped(lambda a: a[half:], carry), positions[half:], rng)
        faults = first.faults | {half + row: reason for row, reason in second.faults.items()}
        remembered = mapped(lambda a, b: np.concatenate([a, b]), first.carry, second.carry)
        return Answer(remembered, np.concatenate([first.actions, second.actions]), faults)

    def close(self) -> None:
        if self._desk is not None:
            self._desk.close()

    def _answer(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> Answer:
        """One call. Raises Misconduct."""
        if self.gone is not None:
            raise Misconduct(self.gone)
        asked = carry, positions, rng
        try:
            carry, answer = self.player.choose(*asked) if self._desk is None else self._timed(*asked)
        except (Misconduct, KeyboardInterrupt):
            raise
        except BaseException as error:  # a player that calls sys.exit ends its game, not the match
            raise Misconduct(f"raised {type(error).__name__}: {error}") from error
        try:
            actions = np.asarray(answer)
        except Exception as error:
            raise Misconduct(f"answered with a {type(answer).__name__} that is no array") from error
        if actions.shape != (len(positions),) or actions.dtype.kind not in "iu":
            found = "None" if answer is None else f"{actions.dtype} {list(actions.shape)}"
            raise Misconduct(f"answered {found}, expected int64 [{len(positions)}]")
        if actions.dtype == np.uint64 and (actions > np.iinfo(np.int64).max).any():
            raise Misconduct("answered a number that no action has")
        return Answer(carry, actions.astype(np.int64), {})

    def _timed(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> Any:
        assert self.seconds is not None and self._desk is not None
        limit = self.seconds * len(positions)
        told = self._desk.call(carry, positions, rng, 2 * limit)
        if told is None:
            self.gone = f"no answer within {2 * limit:g} s, twice the limit: asked no more"
            raise Misconduct(self.gone)
        answer, error, took = told
        if took > limit:
            raise Misconduct(f"took {took:.3g} s, the limit is {limit:g} s")
        if error is not None:
            raise error
        return answer


class _Desk:
    """A thread in which a player answers. A daemon: one that hangs does not keep the program from ending."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[tuple[Any, BaseException | None, float]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def call(
        self, carry: Carry, positions: Positions, rng: np.random.Generator, patience: float
    ) -> tuple[Any, BaseException | None, float] | None:
        """What was answered or raised, and in how many seconds; None if nothing has come in `patience` seconds."""
        self._asked.put((carry, positions, rng))
        try:
            return self._told.get(timeout=patience)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            start, answer, error = time.perf_counter(), None, None
            try:
                answer = self._player.choose(*asked)
            except BaseException as raised:
                error = raised
            self._told.put((answer, error, time.perf_counter() - start))
