from __future__ import annotations

import pytest
import torch

from generative.coders import Convolutional, Dense, Shape, Unpadded, decoder_of, encoder_of


@pytest.mark.parametrize("of", [Dense(), Dense((7, 5), "tanh"), Convolutional((3,)), Convolutional((3, 4), "silu")])
def test_there_and_back(of: Shape) -> None:
    shape, random = (2, 8, 4), torch.Generator().manual_seed(0)
    x = torch.randn(3, *shape)
    encoder, decoder = encoder_of(shape, of, 6, random), decoder_of(shape, of, 6, random)
    assert encoder(x).shape == (3, 6) and decoder(encoder(x)).shape == x.shape
    again = encoder_of(shape, of, 6, torch.Generator().manual_seed(0))
    assert all((a == b).all() for a, b in zip(encoder.parameters(), again.parameters(), strict=True)), "seeded"


def test_without_hidden_layers_all_is_linear() -> None:
    random = torch.Generator().manual_seed(0)
    encoder = encoder_of((4,), Dense(), 2, random)
    x, y = torch.randn(2, 5, 4)
    zero = encoder(torch.zeros(1, 4))
    assert torch.allclose(encoder(x + y) - zero, encoder(x) + encoder(y) - 2 * zero, atol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (1, 6, 8)])
def test_what_cannot_be_halved_is_refused(shape: tuple[int, ...]) -> None:
    for make in (encoder_of, decoder_of):
        with pytest.raises(ValueError, match="multiples of 4"):
            make(shape, Convolutional((3, 4)), 2, torch.Generator())


def test_the_unpadded_are_those_of_world_models() -> None:
    """4,348,547 parameters with 32 codes, as in the paper's CarRacing, and 4,446,915 with the 64 of its Doom."""
    random, x = torch.Generator().manual_seed(0), torch.zeros(2, 3, 64, 64)
    for latent, parameters in ((32, 4_348_547), (64, 4_446_915)):
        encoder = encoder_of((3, 64, 64), Unpadded(), 2 * latent, random)
        decoder = decoder_of((3, 64, 64), Unpadded(), latent, random)
        assert sum(p.numel() for part in (encoder, decoder) for p in part.parameters()) == parameters
        assert decoder(encoder(x).chunk(2, -1)[0]).shape == x.shape
    for make in (encoder_of, decoder_of):
        with pytest.raises(ValueError, match="resize them"):
            make((3, 96, 96), Unpadded(), 2, random)
