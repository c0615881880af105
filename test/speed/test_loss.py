"""Each formula by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speedtune_ros.speed import loss

ATOMS = loss.support(0.0, 4.0, 5)  # 0 1 2 3 4


def test_duelling_takes_the_mean_advantage_off() -> None:
    value, advantage = torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[1.0, 0.0], [2.0, 3.0], [6.0, 0.0]]])
    assert loss.duel(value, advantage).tolist() == [[[8.0, 19.0], [9.0, 22.0], [13.0, 19.0]]]


def test_values_are_means_over_atoms_or_the_output_itself() -> None:
    outputs = torch.log(torch.tensor([[[0.5, 0.0, 0.0, 0.0, 0.5], [0.0, 0.25, 0.75, 0.0, 0.0]]]))
    torch.testing.assert_close(loss.action_values(outputs, ATOMS), torch.tensor([[2.0, 1.75]]))
    assert loss.action_values(torch.tensor([[[3.0], [-1.0]]]), torch.zeros(1)).tolist() == [[3.0, -1.0]]


def test_double_lets_the_online_network_choose() -> None:
    online, target = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([[9.0, 3.0, 4.0]])
    assert loss.bootstrap_actions(online, target, double=True).tolist() == [1]
    assert loss.bootstrap_actions(online, target, double=False).tolist() == [0]


def test_projection_by_hand() -> None:
    at_two = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    split = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.5])
    probabilities = torch.stack([at_two, at_two, split, at_two, at_two])
    returns = torch.tensor([0.25, 0.0, 1.5, 9.0, -9.0])
    discounts = torch.tensor([1.0, 0.5, 0.0, 1.0, 1.0])
    expected = [
        [0.0, 0.0, 0.75, 0.25, 0.0],  # 2.25
        [0.0, 1.0, 0.0, 0.0, 0.0],  # 1
        [0.0, 0.5, 0.5, 0.0, 0.0],  # 1.5, whatever came after
        [0.0, 0.0, 0.0, 0.0, 1.0],  # 11, cut to 4
        [1.0, 0.0, 0.0, 0.0, 0.0],  # -7, cut to 0
    ]
    torch.testing.assert_close(loss.project(probabilities, returns, discounts, ATOMS), torch.tensor(expected))


def test_projection_keeps_mass_and_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    atoms = loss.support(-3.0, 10.0, 51)
    probabilities = torch.softmax(torch.randn(64, 51, generator=generator), -1)
    returns, discounts = torch.rand(64, generator=generator), 0.6 * torch.rand(64, generator=generator)
    projected = loss.project(probabilities, returns, discounts, atoms)
    torch.testing.assert_close(projected.sum(1), torch.ones(64))
    torch.testing.assert_close(projected @ atoms, returns + discounts * (probabilities @ atoms))


def test_projection_against_the_published_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    atoms = torch.linspace(-1.0, 1.0, 21, dtype=torch.float64)
    probabilities = torch.softmax(3.0 * torch.randn(200, 21, generator=generator).double(), -1)
    returns, discounts = torch.randn(200, generator=generator).double(), torch.rand(200, generator=generator).double()
    shifted = (returns[:, None] + discounts[:, None] * atoms).clamp(-1.0, 1.0)
    nearness = (1.0 - (shifted[:, None, :] - atoms[None, :, None]).abs() / 0.1).clamp(0.0, 1.0)  # (B, i, j)
    expected = (nearness * probabilities[:, None, :]).sum(2)
    torch.testing.assert_close(loss.project(probabilities, returns, discounts, atoms), expected)


def test_losses_by_hand() -> None:
    outputs = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    target = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    entropy = loss.cross_entropy(outputs, target)
    np.testing.assert_allclose(entropy, [-np.log(0.75), np.log(2.0)], rtol=1e-6)
    np.testing.assert_allclose(loss.divergence(entropy, target), [-np.log(0.75), 0.0], atol=1e-6)
    assert loss.huber(torch.tensor([0.0, 0.0]), torch.tensor([0.5, 3.0])).tolist() == [0.125, 2.5]


def test_importance_weights_by_hand() -> None:
    probabilities = np.array([0.5, 0.25, 0.125])
    np.testing.assert_allclose(loss.importance_weights(probabilities, 4, 0.5), [0.5, 0.5**0.5, 1.0])
    assert loss.importance_weights(probabilities, 4, 0.0).tolist() == [1.0, 1.0, 1.0]
    assert loss.importance_weights(probabilities, 4, 1.0) == pytest.approx([0.25, 0.5, 1.0])


def test_a_return_beyond_the_last_atom_gives_no_share_below_zero() -> None:
    probabilities = torch.full((1, 51), 1.0 / 51)
    for high in np.linspace(90.0, 160.0, 300):
        atoms = loss.support(-57.0, float(high), 51)
        projected = loss.project(probabilities, torch.tensor([500.0]), torch.tensor([0.0]), atoms)
        assert projected.min() >= 0.0 and projected.sum().item() == pytest.approx(1.0, abs=1e-5)
        assert loss.divergence(torch.zeros(1), projected).isfinite().all()
