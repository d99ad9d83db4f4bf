"""Blackjack against a dealer, with an endless deck, so that every probability is known.

Sutton & Barto, Reinforcement Learning, 2nd edition, example 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from envs.tabular.mdp import MDP

CARDS = {card: 4 / 13 if card == 10 else 1 / 13 for card in range(1, 11)}  # an ace is 1, what has a face is 10
Hand = tuple[int, bool]  # what it counts, and whether one of its aces counts 11 for now
Chances = dict[Any, float]
NATURAL = "natural"  # what a dealer's hand is, or a player's, of an ace and a ten


def blackjack(natural: bool = False, sab: bool = True) -> MDP:
    """A hand is (what it counts, the dealer's card, usable ace), from 12 on: who has less hits anyway. One may `stick`
    or `hit`; the reward comes at the end, 1, 0 or -1.

    The options are those of Gymnasium's Blackjack-v1. sab: a player's natural, an ace and a ten at once, wins unless
    the dealer has one too, as in the book. natural: where it wins it pays 1.5, unless sab. With either a natural is
    another state than 21, (NATURAL, the dealer's card, True), and there are 210 in place of 200.
    """
    dynamics: dict[Any, Any] = {}
    dealt = {card: dealer(card) for card in CARDS}
    for count, card, usable in product(range(12, 22), CARDS, (False, True)):
        state = count, card, usable
        dynamics[state, "stick"] = [(p, "over", compared(count, final)) for final, p in dealt[card].items()]
        dynamics[state, "hit"] = _hit((count, usable), card)
    for card in CARDS if natural or sab else ():
        best = dynamics[(NATURAL, card, True), "stick"] = []
        for final, p in dealt[card].items():
            won = float(final != NATURAL) if sab else 1.5 * compared(21, final)
            best.append((p, "over", won))
        dynamics[(NATURAL, card, True), "hit"] = _hit((21, True), card)
    return MDP.of("blackjack", dynamics, _start(natural or sab), actions=("stick", "hit"))


def with_card(hand: Hand, card: int) -> Hand:
    """The hand after another card: an ace counts 11 as long as that is not too much."""
    count, usable = hand
    count += card
    if card == 1 and not usable and count + 10 <= 21:
        return count + 10, True
    return (count - 10, False) if usable and count > 21 else (count, usable)


def dealer(card: int) -> Chances:
    """What the dealer ends with who shows this card and hits below 17: 17 to 21, 22 for what is more, or NATURAL."""
    found: Chances = {}

    def play(hand: Hand, cards: int, p: float) -> None:
        if hand[0] >= 17:
            final = NATURAL if cards == 2 and hand[0] == 21 else min(hand[0], 22)
            found[final] = found.get(final, 0.0) + p
        else:
            for following, chance in CARDS.items():
                play(with_card(hand, following), cards + 1, p * chance)

    play(with_card((0, False), card), 1, 1.0)
    return found


def compared(count: int, final: Any) -> float:
    """The reward of sticking at `count` where the dealer ends so, naturals being worth no more than 21."""
    other = {NATURAL: 21, 22: 0}.get(final, final)
    return float((count > other) - (count < other))


def _hit(hand: Hand, card: int) -> list[tuple[float, Any, float]]:
    found = []
    for following, p in CARDS.items():
        count, usable = with_card(hand, following)
        found.append((p, "over", -1.0) if count > 21 else (p, (count, card, usable), 0.0))
    return found


def _start(naturals: bool) -> Mapping[Any, float]:
    """The first hands of 12 or more."""
    hands: Chances = {}

    def deal(hand: Hand, cards: int, p: float) -> None:
        if cards >= 2 and hand[0] >= 12:
            first = (NATURAL, True) if naturals and cards == 2 and hand[0] == 21 else hand
            hands[first] = hands.get(first, 0.0) + p
        else:
            for following, chance in CARDS.items():
                deal(with_card(hand, following), cards + 1, p * chance)

    deal((0, False), 0, 1.0)
    return {(count, card, usable): p * q for (count, usable), p in hands.items() for card, q in CARDS.items()}
