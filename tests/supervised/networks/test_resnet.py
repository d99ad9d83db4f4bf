from __future__ import annotations

import pytest
import torch

from supervised.networks.resnet import Block, BoardHead, initialize, tower


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_block_starts_as_the_identity(pooled: bool) -> None:
    block = Block(5, pooled)
    x = torch.rand(3, 5, 4, 6, generator=generator())
    assert not torch.allclose(block(x), x), "torch's own start is none"
    initialize(block, generator())
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(("every", "far"), [(0, False), (2, True)])
def test_only_pooling_sees_the_whole_board_at_once(every: int, far: bool) -> None:
    """Two blocks see 5 cells to each side of the first convolution's 1: a change beyond that must come by pooling."""
    layers = tower(1, 4, 2, every)  # left at torch's start, where no weight is zero
    boards = torch.rand(2, 1, 3, 15, generator=generator())
    boards[1] = boards[0]
    boards[1, 0, :, 14] += 5
    features = layers(boards)
    assert bool((features[0, :, :, :8] != features[1, :, :, :8]).any()) is far


def test_a_head_starts_near_zero_and_sees_every_cell() -> None:
    head = BoardHead(4, 2, 12, 8, 5)
    initialize(head, generator())
    x = torch.rand(7, 4, 3, 4, generator=generator(1)).requires_grad_()
    out = head(x)
    assert out.shape == (7, 5)
    assert out.abs().max() < 0.2
    (slope,) = torch.autograd.grad(out.square().sum(), x)
    assert (slope.abs().sum((0, 1)) > 0).all()


def test_initialization_comes_from_its_generator_alone() -> None:
    networks = []
    for seed in (0, 0, 1):
        state = torch.get_rng_state()
        network = tower(2, 4, 2, 2)
        torch.set_rng_state(state)
        initialize(network, generator(seed))
        assert torch.equal(torch.get_rng_state(), state)
        networks.append(torch.cat([p.detach().reshape(-1) for p in network.parameters()]))
    assert torch.equal(networks[0], networks[1])
    assert not torch.equal(networks[0], networks[2])
