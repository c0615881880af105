"""The value network: a stack of features in, values of every speed out; duelling, categorical and noisy by choice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.speed.loss import duel
from speedtune_ros.speed.own_encoder import EncodedStates, OwnEncoderConfig


@dataclass(frozen=True)
class NetworkConfig:
    """The network's size and which of Rainbow's parts it has."""

    hidden: int = option(256, "width of every hidden layer", minimum=1)
    layers: int = option(2, "hidden layers before the heads", minimum=1)
    duelling: bool = option(True, "a value and an advantage of each action, not one head for both")
    noisy: bool = option(True, "explore by noise in the heads' weights, not by chance actions")
    sigma: float = option(0.5, "initial noise of noisy layers, before 1/sqrt(inputs)", minimum=0.0)
    atoms: int = option(121, "atoms of the categorical value; 1: a plain value", minimum=1)
    encoder: OwnEncoderConfig = field(default_factory=OwnEncoderConfig)


class NoisyLinear(nn.Module):
    """y = (mu_w + sigma_w * f(e_out) f(e_in)^T) x + mu_b + sigma_b * f(e_out) with f(e) = sign(e) sqrt(|e|).

    Factorised noise and its initialisation: Fortunato et al. 2018, https://arxiv.org/abs/1706.10295, eq. 10 and 11
    and section 3.2. The noise stays until it is drawn again, or silenced.
    """

    noise_in: torch.Tensor
    noise_out: torch.Tensor

    def __init__(self, inputs: int, outputs: int, sigma: float) -> None:
        super().__init__()
        bound, spread = 1.0 / math.sqrt(inputs), sigma / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), spread))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), spread))
        # Not part of the state: drawn anew before every use.
        self.register_buffer("noise_in", torch.zeros(inputs), persistent=False)
        self.register_buffer("noise_out", torch.zeros(outputs), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        weight = self.weight + self.weight_sigma * torch.outer(self.noise_out, self.noise_in)
        return functional.linear(inputs, weight, self.bias + self.bias_sigma * self.noise_out)

    def draw(self, generator: torch.Generator) -> None:
        """New noise. The generator is on the CPU, so that a run repeats on any device."""
        for noise in (self.noise_in, self.noise_out):
            drawn = torch.randn(noise.shape, generator=generator)
            noise.copy_(drawn.sign() * drawn.abs().sqrt())

    def silence(self) -> None:
        """No noise: the mean network."""
        self.noise_in.zero_()
        self.noise_out.zero_()


class ValueNetwork(nn.Module):
    """Stacked features (B, k, F) to outputs (B, A, N): logits over atoms, or values where N is 1.

    Raises ConfigError for a size below 1.
    """

    def __init__(self, config: NetworkConfig, features: int, stack: int, actions: int) -> None:
        super().__init__()
        if min(features, stack, actions) < 1:
            raise ConfigError(
                f"value network: expected features, stack and actions of at least 1, got {features}, {stack}, {actions}"
            )
        self.config = config
        self._actions = actions
        layers: list[nn.Module] = [EncodedStates(config.encoder)] if config.encoder.shape else []
        layers.append(nn.Flatten())
        width = config.encoder.encoded(features) * stack
        for _ in range(config.layers):
            layers += [nn.Linear(width, config.hidden), nn.ReLU()]
            width = config.hidden
        self.torso = nn.Sequential(*layers)
        self.advantage = self._head(actions)
        self.value = self._head(1) if config.duelling else None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        hidden = self.torso(states)
        advantage = self.advantage(hidden).unflatten(-1, (self._actions, self.config.atoms))  # (B, A, N)
        if self.value is None:
            return advantage
        return duel(self.value(hidden)[:, None], advantage)

    def draw_noise(self, generator: torch.Generator) -> None:
        """New noise in every noisy layer."""
        for layer in self._noisy:
            layer.draw(generator)

    def silence(self) -> None:
        """No noise in any layer: as a trained policy runs."""
        for layer in self._noisy:
            layer.silence()

    @property
    def _noisy(self) -> list[NoisyLinear]:
        return [layer for layer in self.modules() if isinstance(layer, NoisyLinear)]

    def _head(self, actions: int) -> nn.Sequential:
        hidden, outputs = self.config.hidden, actions * self.config.atoms
        return nn.Sequential(self._linear(hidden, hidden), nn.ReLU(), self._linear(hidden, outputs))

    def _linear(self, inputs: int, outputs: int) -> nn.Module:
        if self.config.noisy:
            return NoisyLinear(inputs, outputs, self.config.sigma)
        return nn.Linear(inputs, outputs)
