"""A table of information sets that grows as they are met, in memory that is bounded beforehand.

A record is 3 + 2k words of 8 bytes: a fingerprint of 128 bits, the number k of legal actions, k regrets and k sums for
the average. Records lie one after the other in the order in which they were made. The index has a word for each place
of a hash table with linear probing: 0, or where the record begins. Both are reserved at the beginning, so that nothing
is ever copied or moved; the system hands out pages as they are first written, so what is reserved is not yet taken.

Any two of n keys have the same fingerprint with probability n^2 / 2^129: 1e-19 for ten billion. It would be noticed if
their numbers of actions differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numba import njit

from agents.api import State
from envs.api import Array

UNKNOWN = -1  # in place of a record
_HEAD = 3  # words before the regrets
_SMALLEST = _HEAD + 4  # words of a record of two actions: with one there is nothing to learn
_LOAD = 0.75  # of the places in the index, at most


class InfosetTable:
    """Raises MemoryError if `memory_bytes` is too little for anything."""

    def __init__(self, memory_bytes: int) -> None:
        words = memory_bytes // 8
        places = int(words / (1 + _LOAD * _SMALLEST)) + 1
        if words - places <= _SMALLEST:
            raise MemoryError(f"memory_bytes is {memory_bytes}, which holds no information set")
        self._index = np.zeros(places, np.int64)
        self._words = np.zeros(words - places, np.uint64)
        self._values = self._words.view(np.float64)
        self._used = np.ones(2, np.int64)  # words, of which the first stays empty; records
        self._used[1] = 0

    @property
    def infosets(self) -> int:
        return int(self._used[1])

    @property
    def reserved_bytes(self) -> int:
        """The ceiling."""
        return self._index.nbytes + self._words.nbytes

    @property
    def used_bytes(self) -> int:
        """The index, and the records so far."""
        return self._index.nbytes + 8 * int(self._used[0])

    def find(self, fingerprints: Array, counts: Array, grow: bool) -> Array:
        """Records [n] int64 of fingerprints [n, 2] uint64, with so many legal actions each [n] int64.

        With `grow` those that are not there are made, as far as they fit. UNKNOWN otherwise.
        """
        records = np.empty(len(fingerprints), np.int64)
        wrong = _find(self._index, self._words, self._used, fingerprints, counts, grow, records)
        if wrong >= 0:
            raise ValueError(f"an information set of {counts[wrong]} legal actions had another number of them before")
        return records

    def policy(self, records: Array, legal: Array, average: bool = False) -> Array:
        """[n, A] float64: matches the regrets, or is the average; all alike where nothing is known."""
        policy = np.zeros(legal.shape)
        _policy(self._values, records, legal, average, policy)
        return policy

    def add(self, records: Array, legal: Array, amounts: Array, average: bool = False) -> None:
        """Add amounts [n, A] of the legal actions to regrets, or to averages. What is UNKNOWN is left out."""
        _add(self._values, records, legal, amounts, average)

    def state_dict(self) -> State:
        """A view of the records: write it out before adding more."""
        return {"records": self._words[1 : self._used[0]]}

    def load_state_dict(self, state: State) -> None:
        """Raises MemoryError if the records don't fit; then nothing has changed."""
        found = state["records"]
        if len(found) + 1 > len(self._words):
            raise MemoryError(f"{8 * len(found)} bytes of records don't fit into memory_bytes of {self.reserved_bytes}")
        self._index[:] = 0
        self._words[1 : len(found) + 1] = found
        self._used[0] = len(found) + 1
        self._used[1] = _reindex(self._index, self._words, self._used[0])


def fingerprints(seats: Array, keys: Sequence[str]) -> Array:
    """[n, 2] uint64 of what each seat knows."""
    texts = [f"{seat} {key}".encode() for seat, key in zip(seats.tolist(), keys, strict=True)]
    digests = [blake2b(text, digest_size=16).digest() for text in texts]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64).reshape(len(digests), 2)


@njit(cache=True)
def _place(index: Array, words: Array, first: Any, second: Any) -> Any:
    """Where the index has this fingerprint, or the free place where it would be."""
    place: Any = np.int64(first % np.uint64(len(index)))
    while index[place] != 0:
        at = index[place]
        if words[at] == first and words[at + 1] == second:
            break
        place += 1
        if place == len(index):
            place = 0
    return place


@njit(cache=True)
def _find(
    index: Array, words: Array, used: Array, fingerprints: Array, counts: Array, grow: bool, records: Array
) -> int:
    """Fill `records`. Returns the first row whose number of actions is another than before, or -1."""
    for row in range(len(fingerprints)):
        place = _place(index, words, fingerprints[row, 0], fingerprints[row, 1])
        at = index[place]
        if at == 0 and grow and used[0] + _HEAD + 2 * counts[row] <= len(words):
            at = used[0]
            index[place] = at
            words[at], words[at + 1], words[at + 2] = fingerprints[row, 0], fingerprints[row, 1], np.uint64(counts[row])
            used[0] += _HEAD + 2 * counts[row]
            used[1] += 1
        if at != 0 and words[at + 2] != np.uint64(counts[row]):
            return row
        records[row] = at if at != 0 else UNKNOWN
    return -1


@njit(cache=True)
def _reindex(index: Array, words: Array, end: int) -> Any:
    """Enter all records into an empty index; return how many there are."""
    at, found = np.int64(1), 0
    while at < end:
        index[_place(index, words, words[at], words[at + 1])] = at
        at += _HEAD + 2 * np.int64(words[at + 2])
        found += 1
    return found


@njit(cache=True)
def _policy(values: Array, records: Array, legal: Array, average: bool, policy: Array) -> None:
    for row in range(len(records)):
        count = legal[row].sum()
        begin = records[row] + _HEAD + (count if average else 0)
        total = 0.0
        if records[row] != UNKNOWN:
            for k in range(count):
                total += max(values[begin + k], 0.0)
        k = 0
        for action in range(legal.shape[1]):
            if legal[row, action]:
                policy[row, action] = max(values[begin + k], 0.0) / total if total > 0.0 else 1.0 / count
                k += 1


@njit(cache=True)
def _add(values: Array, records: Array, legal: Array, amounts: Array, average: bool) -> None:
    for row in range(len(records)):
        if records[row] == UNKNOWN:
            continue
        at = records[row] + _HEAD + (legal[row].sum() if average else 0)
        for action in range(legal.shape[1]):
            if legal[row, action]:
                values[at] += amounts[row, action]
                at += 1
