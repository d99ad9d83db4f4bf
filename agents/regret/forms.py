"""One iteration of counterfactual regret minimization, in two forms: numba kernels, float64.

Sequence form, for two seats: an iteration touches payoffs and sequences only. The values behind a seat's sequences are
one product of its payoff matrix with the other seat's realization plan; infosets are then walked backwards for values,
regrets and the next policy, and forwards for its plan and the average. Rows of the matrix that share their columns
(in poker: the hands a seat may hold at one end of the betting) lie side by side in lanes, so that they are one
vector operation; where that would leave most lanes empty, it is an ordinary sparse matrix by rows.

History form, for any number of seats: every history is visited, in the order and with the roundings of OpenSpiel, so
that all its numbers are equal to the last bit. It is some times slower.

Regret matching amplifies rounding: two orders of summation agree to about 1e-9 for some hundred iterations of Leduc,
and then drift apart within the bounds of convergence. That is why there is an exact form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from agents.regret.tree import GameTree
from envs.api import CHANCE, TERMINAL, Array

LANES = 4  # rows of the payoff matrix that are one vector
FILL = 0.5  # lanes in use, at least; below it a vector is not worth its zeros


class Discounting(NamedTuple):
    """What a variant does with regrets and averages after iteration t = 1, 2, ...

    Positive regrets are multiplied by t**positive / (t**positive + 1), others by t**negative / (t**negative + 1): inf
    keeps them, -inf makes them 0. The policy of iteration t counts t**averaging times in the average.
    With `prediction` 1 the next policy matches the regrets as they will be if the last ones come again.
    """

    positive: float
    negative: float
    averaging: float
    prediction: float


class Sums(NamedTuple):
    """The state of a solver, or its part for one seat: views of arrays over sequences, float64."""

    regret: Array
    policy: Array  # of the next iteration
    average: Array  # reach times policy, summed over iterations with their weights
    reach: Array  # the realization plan of `policy`
    value: Array  # scratch, zeros between iterations


@njit(cache=True)
def _power(t: float, exponent: float) -> float:
    if exponent == 0:
        return 1.0
    return t if exponent == 1 else t**exponent


@njit(cache=True)
def _kept(t: float, exponent: float) -> float:
    if exponent == np.inf:
        return 1.0
    if exponent == -np.inf:
        return 0.0
    power = _power(t, exponent)
    return power / (power + 1)


@njit(cache=True)
def multiply_down(first: Array, actions: Array, parent: Array, policy: Array, plan: Array) -> None:
    """Fill `plan` behind the empty sequences; infosets [I] come parents first."""
    for infoset in range(len(first)):
        reach = plan[parent[infoset]]
        for sequence in range(first[infoset], first[infoset] + actions[infoset]):
            plan[sequence] = reach * policy[sequence]


# Sequence form -------------------------------------------------------------------------------------------------------


class SequenceForm(NamedTuple):
    """One seat of a game of two. Indices are unsigned, as numba otherwise looks for negative ones at every access."""

    begin: Array  # [G + 1] uint32: the columns of group g are begin[g] .. begin[g + 1] - 1
    column: Array  # [E] uint32, sequences of the other seat, counted from its empty one
    payoff: Array  # [E, L] float64, chance included; 0 in lanes that have no payoff there
    row: Array  # [G, L] uint32, this seat's sequences; unused lanes point behind the last one
    first: Array  # [I + 1] uint32: the sequences of infoset i are first[i] .. first[i + 1] - 1
    parent: Array  # [I] uint32


def sequence_form(tree: GameTree, seat: int) -> SequenceForm:
    """Payoffs of terminals that end the same pair of sequences are summed. Raises ValueError but for two seats."""
    if tree.seats != 2:
        raise ValueError(f"{tree.name} has {tree.seats} seats: the sequence form takes two, form=history any number")
    own, other = tree.sequence_start[seat], tree.sequence_start[1 - seat]
    count, width = np.diff(tree.sequence_start)[[seat, 1 - seat]].astype(np.int64)
    pair = (tree.terminal_sequence[:, seat] - own) * width + tree.terminal_sequence[:, 1 - seat] - other
    pairs, which = np.unique(pair, return_inverse=True)
    payoff = np.bincount(which, tree.payoffs[:, seat])
    row, column = pairs // width, pairs % width
    infosets = slice(tree.infoset_start[seat], tree.infoset_start[seat + 1])
    first = np.append(tree.infoset_first[infosets] - own, count)
    begin, column, payoff, rows = _grouped(row, column, payoff, int(count), int(width))
    unsigned = (array.astype(np.uint32) for array in (begin, column, rows, first, tree.infoset_parent[infosets] - own))
    begin, column, rows, first, parent = unsigned
    return SequenceForm(begin, column, payoff, rows, first, parent)


def _grouped(row: Array, column: Array, payoff: Array, rows: int, columns: int) -> tuple[Array, Array, Array, Array]:
    """begin [G + 1], column [E], payoff [E, L], row [G, L] of a sparse matrix, whose entries come sorted by row."""
    used = np.unique(row)
    block = _blocks(row, column, rows, columns)[used]
    for lanes in (LANES, 1):
        order = np.argsort(block, kind="stable")
        begins = np.flatnonzero(np.diff(block[order], prepend=-1))
        rank = np.arange(len(used)) - np.repeat(begins, np.diff(np.append(begins, len(used))))
        group = np.cumsum(rank % lanes == 0) - 1
        row_of = np.full((group[-1] + 1, lanes), rows)
        row_of[group, rank % lanes] = used[order]
        at, lane = np.zeros((2, rows), np.int64)
        at[used[order]], lane[used[order]] = group, rank % lanes
        entries, which = np.unique(at[row] * columns + column, return_inverse=True)
        if len(payoff) >= FILL * len(entries) * lanes:
            break
        block = np.arange(len(used))  # each row for itself
    spread = np.zeros((len(entries), lanes))
    spread[which, lane[row]] = payoff
    begin = np.searchsorted(entries // columns, np.arange(len(row_of) + 1))
    return begin, entries % columns, spread, row_of


def _blocks(row: Array, column: Array, rows: int, columns: int) -> Array:
    """[rows]: a number that rows have in common if a chain of shared columns links them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(row), np.int8), (row, rows + column)), (rows + columns, rows + columns))
    number: Array = connected_components(links, directed=False)[1]
    return number[:rows]


@njit(cache=True)
def sequence_iterations(
    n: int, done: int, rule: Discounting, alternating: bool, a: SequenceForm, b: SequenceForm, x: Sums, y: Sums
) -> None:
    """n iterations after `done`, in place: seat 0 is `a` with `x`, seat 1 is `b` with `y`."""
    for iteration in range(done + 1, done + n + 1):
        t = float(iteration)
        positive, negative = _kept(t, rule.positive), _kept(t, rule.negative)
        weight = _power(t, rule.averaging)
        _payoffs(a, y.reach, x.value)
        if not alternating:
            _payoffs(b, x.reach, y.value)
        _match(a, x, positive, negative, rule.prediction)
        _reach(a, x, weight)
        if alternating:
            _payoffs(b, x.reach, y.value)
        _match(b, y, positive, negative, rule.prediction)
        _reach(b, y, weight)


@njit(cache=True)
def _payoffs(form: SequenceForm, reach: Array, value: Array) -> None:
    """What is paid behind each sequence, weighted with the other seat's reach."""
    begin, column, payoff, row = form.begin, form.column, form.payoff, form.row
    if payoff.shape[1] == 1:
        for group in range(len(row)):
            total = 0.0
            for entry in range(begin[group], begin[group + 1]):
                total += payoff[entry, 0] * reach[column[entry]]
            value[row[group, 0]] = total
        return
    for group in range(len(row)):
        w, x, y, z = 0.0, 0.0, 0.0, 0.0
        for entry in range(begin[group], begin[group + 1]):
            weight = reach[column[entry]]
            w += payoff[entry, 0] * weight
            x += payoff[entry, 1] * weight
            y += payoff[entry, 2] * weight
            z += payoff[entry, 3] * weight
        value[row[group, 0]] = w
        value[row[group, 1]] = x
        value[row[group, 2]] = y
        value[row[group, 3]] = z


@njit(cache=True)
def _match(form: SequenceForm, sums: Sums, positive: float, negative: float, prediction: float) -> None:
    """From the bottom up: values of infosets, regrets, and the policy that matches them. Leaves zeros in `value`."""
    first, parent = form.first, form.parent
    regret, policy, value = sums.regret, sums.policy, sums.value
    for infoset in range(len(parent) - 1, -1, -1):
        begin, end = first[infoset], first[infoset + 1]
        expected = 0.0
        for s in range(begin, end):
            expected += policy[s] * value[s]
        value[parent[infoset]] += expected
        total = 0.0
        for s in range(begin, end):
            gain = value[s] - expected
            value[s] = 0.0
            summed = regret[s] + gain
            summed *= positive if summed > 0 else negative
            regret[s] = summed
            matched = max(summed + prediction * gain, 0.0)
            policy[s] = matched
            total += matched
        if total > 0:
            share = 1 / total
            for s in range(begin, end):
                policy[s] *= share
        else:
            alike = 1.0 / (end - begin)
            for s in range(begin, end):
                policy[s] = alike
    value[0] = 0.0


@njit(cache=True)
def _reach(form: SequenceForm, sums: Sums, weight: float) -> None:
    """From the top down: the policy that was just played joins the average, then the plan becomes the next one's."""
    first, parent = form.first, form.parent
    policy, average, reach = sums.policy, sums.average, sums.reach
    for infoset in range(len(parent)):
        above = reach[parent[infoset]]
        for s in range(first[infoset], first[infoset + 1]):
            average[s] += weight * reach[s]
            reach[s] = above * policy[s]


# History form --------------------------------------------------------------------------------------------------------


class HistoryForm(NamedTuple):
    """Arrays of the Tree, and what is remembered of each history during an iteration."""

    seat: Array
    first_child: Array
    children: Array
    chance: Array
    label: Array
    returns: Array
    level: Array  # [D + 1] int64: the nodes at depth d are level[d] .. level[d + 1] - 1
    infoset_start: Array
    infoset_first: Array
    infoset_actions: Array
    infoset_parent: Array
    reach: Array  # [N, P + 1] float64, of each seat and of chance
    value: Array  # [N] float64


def history_form(tree: GameTree) -> HistoryForm:
    level = [0, 1]
    while level[-1] < tree.nodes:
        nodes = slice(level[-2], level[-1])
        level.append(int((tree.first_child[nodes] + tree.children[nodes]).max()))
    return HistoryForm(
        seat=tree.seat,
        first_child=tree.first_child,
        children=tree.children,
        chance=tree.chance,
        label=tree.label,
        returns=tree.returns,
        level=np.array(level, np.int64),
        infoset_start=tree.infoset_start,
        infoset_first=tree.infoset_first,
        infoset_actions=tree.infoset_actions,
        infoset_parent=tree.infoset_parent,
        reach=np.ones((tree.nodes, tree.seats + 1)),
        value=np.zeros(tree.nodes),
    )


@njit(cache=True)
def history_iterations(n: int, done: int, rule: Discounting, alternating: bool, form: HistoryForm, sums: Sums) -> None:
    """n iterations after `done`, in place; `sums` is of all seats, and its `value` receives the last regrets."""
    seats = form.returns.shape[1]
    for iteration in range(done + 1, done + n + 1):
        t = float(iteration)
        positive, negative = _kept(t, rule.positive), _kept(t, rule.negative)
        weight = _power(t, rule.averaging)
        for seat in range(seats):
            if alternating or seat == 0:
                _histories_down(form, sums.policy)
            _histories_up(form, sums, seat, weight)
            if alternating:
                _match_histories(form, sums, seat, positive, negative, rule.prediction)
        if not alternating:
            for seat in range(seats):
                _match_histories(form, sums, seat, positive, negative, rule.prediction)
    multiply_down(form.infoset_first, form.infoset_actions, form.infoset_parent, sums.policy, sums.reach)


@njit(cache=True)
def _histories_down(form: HistoryForm, policy: Array) -> None:
    """Reach of every history, by each seat and by chance."""
    for node in range(len(form.seat)):
        seat = form.seat[node]
        if seat == TERMINAL:
            continue
        first = form.first_child[node]
        for rank in range(form.children[node]):
            child = first + rank
            form.reach[child] = form.reach[node]
            if seat == CHANCE:
                form.reach[child, -1] *= form.chance[child]
            else:
                form.reach[child, seat] *= policy[form.infoset_first[form.label[node]] + rank]


@njit(cache=True)
def _histories_up(form: HistoryForm, sums: Sums, seat: int, weight: float) -> None:
    """Values of every history for `seat`; its regrets and average. Levels from left to right, as if deep first."""
    players = form.reach.shape[1]
    for depth in range(len(form.level) - 2, -1, -1):
        for node in range(form.level[depth], form.level[depth + 1]):
            mover, first = form.seat[node], form.first_child[node]
            if mover == TERMINAL:
                form.value[node] = form.returns[form.label[node], seat]
                continue
            expected = 0.0
            begin = -1 if mover == CHANCE else form.infoset_first[form.label[node]]
            for rank in range(form.children[node]):
                share = form.chance[first + rank] if mover == CHANCE else sums.policy[begin + rank]
                expected += share * form.value[first + rank]
            form.value[node] = expected
            if mover != seat:
                continue
            others = 1.0
            for player in range(players):
                if player != seat:
                    others *= form.reach[node, player]
            own = weight * form.reach[node, seat]
            for rank in range(form.children[node]):
                gain = others * (form.value[first + rank] - expected)
                sums.regret[begin + rank] += gain
                sums.value[begin + rank] += gain
                sums.average[begin + rank] += own * sums.policy[begin + rank]


@njit(cache=True)
def _match_histories(
    form: HistoryForm, sums: Sums, seat: int, positive: float, negative: float, prediction: float
) -> None:
    """The policy of `seat` that matches its regrets. Leaves zeros in `value`."""
    for infoset in range(form.infoset_start[seat], form.infoset_start[seat + 1]):
        begin = form.infoset_first[infoset]
        end = begin + form.infoset_actions[infoset]
        total = 0.0
        for s in range(begin, end):
            summed = sums.regret[s]
            summed *= positive if summed > 0 else negative
            sums.regret[s] = summed
            sums.policy[s] = max(summed + prediction * sums.value[s], 0.0)
            sums.value[s] = 0.0
            total += sums.policy[s]
        for s in range(begin, end):
            sums.policy[s] = sums.policy[s] / total if total > 0 else 1.0 / (end - begin)
