from __future__ import annotations

import itertools

import pytest
import torch

from speedtune_ros.errors import ConfigError
from speedtune_ros.speed.network import NetworkConfig, NoisyLinear, ValueNetwork


def test_a_noisy_layer_by_hand() -> None:
    layer = NoisyLinear(2, 1, sigma=0.5)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.fill_(0.5)
        layer.weight_sigma.copy_(torch.tensor([[0.1, 0.2]]))
        layer.bias_sigma.fill_(0.3)
    layer.noise_in.copy_(torch.tensor([2.0, -1.0]))
    layer.noise_out.fill_(3.0)
    # Weights 1 + .1 * 6 and 2 - .2 * 3, bias .5 + .3 * 3.
    torch.testing.assert_close(layer(torch.tensor([[1.0, 10.0]])), torch.tensor([[1.6 + 14.0 + 1.4]]))
    layer.silence()
    torch.testing.assert_close(layer(torch.tensor([[1.0, 10.0]])), torch.tensor([[21.5]]))


def test_noise_begins_as_published() -> None:
    layer = NoisyLinear(16, 5, sigma=0.5)
    for values in (layer.weight, layer.bias):  # between -1/sqrt(16) and 1/sqrt(16)
        assert -0.25 <= values.min() < 0.0 < values.max() <= 0.25
    assert (layer.weight_sigma == 0.125).all() and (layer.bias_sigma == 0.125).all()
    generator = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(500):
        layer.draw(generator)
        draws.append(layer.noise_in.clone())
    noise = torch.stack(draws)
    assert abs(noise.mean()) < 0.02 and abs(noise.square().mean() - (2.0 / torch.pi) ** 0.5) < 0.02  # E|e|


ABLATIONS = list(itertools.product([True, False], [True, False], [1, 11]))


@pytest.mark.parametrize(("duelling", "noisy", "atoms"), ABLATIONS)
def test_every_part_can_be_left_out(duelling: bool, noisy: bool, atoms: int) -> None:
    config = NetworkConfig(hidden=16, duelling=duelling, noisy=noisy, atoms=atoms)
    network = ValueNetwork(config, features=3, stack=2, actions=4)
    states = torch.randn(5, 2, 3)
    quiet = network(states)
    assert quiet.shape == (5, 4, atoms)
    network.draw_noise(torch.Generator().manual_seed(1))
    assert torch.equal(network(states), quiet) is not noisy
    network.silence()
    assert torch.equal(network(states), quiet)
    assert (network.value is not None) is duelling
    network(states).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_duelling_advantages_average_to_the_value() -> None:
    network = ValueNetwork(NetworkConfig(hidden=8, atoms=1), 3, 1, 4)
    states = torch.randn(6, 1, 3)
    value = network.value(network.torso(states))
    torch.testing.assert_close(network(states).mean(1), value)


def test_no_actions_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected features, stack and actions of at least 1, got 3, 2, 0"):
        ValueNetwork(NetworkConfig(), 3, 2, 0)
