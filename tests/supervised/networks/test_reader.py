"""A reader is a sequence model of tokens; what such models promise is in `test_sequence.py`."""

from __future__ import annotations

import pytest
import torch

from supervised.networks.reader import Reader
from supervised.networks.sequence import Recurrent
from supervised.networks.transformer import CausalTransformer


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_token_by_token_it_says_what_it_says_at_once(kind: str) -> None:
    model = CausalTransformer(4, 8, 2, 2, window=6) if kind == "transformer" else Recurrent(kind, 4, 8)
    reader = Reader(model, 4, 5, torch.Generator().manual_seed(0))
    tokens, first = torch.randint(5, (6, 3)), torch.zeros(6, 3, dtype=torch.bool)
    carry, whole = reader(reader.initial(3), tokens, first)
    assert whole.shape == (6, 3, 5)
    carry, found = reader.initial(3), []
    for step in range(6):
        carry, outputs = reader(carry, tokens[step : step + 1], first[:1])
        found.append(outputs)
    torch.testing.assert_close(torch.cat(found), whole, rtol=0, atol=1e-5)
    changed = tokens.clone()
    changed[4:] = (tokens[4:] + 1) % 5
    torch.testing.assert_close(reader(reader.initial(3), changed, first)[1][:4], whole[:4], rtol=0, atol=1e-6)
