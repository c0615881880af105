"""The mathematics of Rainbow as pure functions of tensors: Hessel et al. 2018, https://arxiv.org/abs/1710.02298.

B transitions, A actions, N atoms z_1 < .. < z_N equally spaced. Without categorical values N is 1 and an action's
value is its one output.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional


def support(low: float, high: float, atoms: int) -> torch.Tensor:
    """The atoms (N,) from `low` to `high`."""
    return torch.linspace(low, high, atoms)


def duel(value: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
    """V (B, 1, N) + A (B, A, N) - mean over actions of A: (B, A, N).

    Wang et al. 2016, https://arxiv.org/abs/1511.06581, eq. 9; per atom as in Rainbow.
    """
    return value + advantage - advantage.mean(1, keepdim=True)


def action_values(outputs: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """Q (B, A) of network outputs (B, A, N): sum_i z_i softmax(outputs)_i, or the output itself where N is 1."""
    if outputs.shape[-1] == 1:
        return outputs[..., 0]
    return torch.softmax(outputs, -1) @ atoms


def bootstrap_actions(online: torch.Tensor, target: torch.Tensor, double: bool) -> torch.Tensor:
    """Which next action's value is believed (B,), from Q (B, A) of s' by the online and by the target network.

    Double: the online network chooses, the target network will rate (van Hasselt et al. 2016,
    https://arxiv.org/abs/1509.06461, eq. 4); else the target network does both, and overrates.
    """
    return (online if double else target).argmax(1)


def project(
    probabilities: torch.Tensor, returns: torch.Tensor, discounts: torch.Tensor, atoms: torch.Tensor
) -> torch.Tensor:
    """The law of returns + discounts * Z, brought back onto the atoms (N,): (B, N).

    probabilities (B, N) of Z; returns (B,); discounts (B,). Each shifted atom gives its mass to its two neighbours in
    proportion to its nearness: [1 - |clip(g + d z_j) - z_i| / dz]_0^1 (Bellemare et al. 2017,
    https://arxiv.org/abs/1707.06887, eq. 7).
    """
    shifted = (returns[:, None] + discounts[:, None] * atoms).clamp(atoms[0], atoms[-1])  # (B, N)
    # Rounding may put the last atom a hair beyond its place, and its lower neighbour's share below 0.
    place = ((shifted - atoms[0]) / (atoms[1] - atoms[0])).clamp(0, len(atoms) - 1)
    below = place.floor().clamp(0, len(atoms) - 2)
    above = place - below  # share of the upper neighbour
    projected = torch.zeros_like(probabilities)
    projected.scatter_add_(1, below.long(), probabilities * (1.0 - above))
    return projected.scatter_add_(1, below.long() + 1, probabilities * above)


def cross_entropy(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-sum_i target_i log softmax(outputs)_i of (B, N) twice: (B,), the loss of each transition."""
    return -(target * functional.log_softmax(outputs, -1)).sum(-1)


def divergence(loss: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """KL(target || prediction) (B,) from the cross entropy: Rainbow's priority, 0 where there is nothing to learn."""
    return (loss + torch.special.xlogy(target, target).sum(-1)).clamp(min=0.0)


def huber(values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Quadratic within 1, linear beyond: (B,)."""
    return functional.huber_loss(values, targets, reduction="none")


def importance_weights(probabilities: np.ndarray, size: int, exponent: float) -> np.ndarray:
    """(size * p_i)**-exponent, scaled so that the largest is 1: (B,) float32.

    probabilities (B,) with which transitions were drawn out of `size` (Schaul et al. 2016,
    https://arxiv.org/abs/1511.05952, section 3.4).
    """
    weights = (size * probabilities) ** -exponent
    return (weights / weights.max()).astype(np.float32)
