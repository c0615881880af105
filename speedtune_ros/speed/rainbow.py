"""Rainbow: a DQN with six improvements, each of which can be left out. Knows nothing of robots, files or logging.

Hessel et al. 2018, https://arxiv.org/abs/1710.02298. The loop around it acts, adds each episode once its end is
known, and calls `learn` while `owed` is above 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from speedtune_ros.config import option, to_dict
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed import loss
from speedtune_ros.speed.network import NetworkConfig, ValueNetwork
from speedtune_ros.speed.replay import Batch, EpisodeSteps, Replay, ReplayConfig


@dataclass(frozen=True)
class RainbowConfig:
    """The agent. The defaults are SpeedTuning's (https://daivdyuan.github.io/speed-tuning/)."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    double: bool = option(True, "the online network chooses the next action, the target network rates it")
    steps: int = option(3, "rewards summed before a value is believed (n-step)", minimum=1)
    one_step: bool = option(True, "learn from the one-step return as well")
    discount: float = option(0.99, "of the next decision's value", minimum=0.0, maximum=1.0)
    batch: int = option(128, "transitions an update", minimum=1)
    learning_rate: float = option(1e-4, "Adam's", minimum=0.0)
    adam_epsilon: float = option(1e-8, "Adam's", minimum=0.0)
    gradient_clip: float = option(10.0, "largest norm of the gradient; 0: any", minimum=0.0)
    target_period: int = option(50, "updates between updates of the target network", minimum=1)
    target_mix: float = option(
        0.5, "how far it then moves to the online network; 1: all the way", minimum=0.0, maximum=1.0
    )
    importance: float = option(0.6, "exponent of the importance weights, at first", minimum=0.0, maximum=1.0)
    importance_updates: int = option(100_000, "updates until that exponent is 1", minimum=1)
    updates_per_decision: float = option(1.0, "replay ratio", minimum=0.0)
    warm_up: int = option(500, "decisions stored before the first update", minimum=1)
    epsilon: float = option(1.0, "share of chance actions at first, without noisy layers", minimum=0.0, maximum=1.0)
    epsilon_last: float = option(0.05, "share of chance actions in the end", minimum=0.0, maximum=1.0)
    epsilon_decisions: int = option(5_000, "decisions until then", minimum=1)


@dataclass(frozen=True)
class Update:
    """What one update did: means over its batch, and the gradient's norm before it was clipped."""

    loss: float
    value: float
    priority: float
    gradient: float


class Rainbow:
    """Learns values of actions from states (k, F), by `network` into `atoms` (N,) from `replay`.

    seed: of the noise, of chance actions and of what is drawn from the replay.
    """

    def __init__(
        self, config: RainbowConfig, network: ValueNetwork, replay: Replay, atoms: torch.Tensor, seed: int = 0
    ) -> None:
        if len(atoms) != config.network.atoms or network.config != config.network:
            raise ConfigError(f"Rainbow: expected a network of {config.network}, got {network.config}")
        self.config = config
        self.replay = replay
        self.network = network
        self.updates = self.decisions = 0
        self._device = next(network.parameters()).device
        self._atoms = atoms.to(self._device)
        self._target = copy.deepcopy(network).requires_grad_(False)
        self._optimiser = torch.optim.Adam(
            network.parameters(), config.learning_rate, eps=config.adam_epsilon, fused=True
        )
        self._rng = np.random.default_rng(seed)
        self._noise = torch.Generator().manual_seed(seed)

    @property
    def owed(self) -> int:
        """Updates to make before the next decision."""
        beyond = self.decisions - self.config.warm_up
        return max(int(beyond * self.config.updates_per_decision) - self.updates, 0)

    @property
    def epsilon(self) -> float:
        """The share of chance actions now, without noisy layers."""
        done = min(self.decisions / self.config.epsilon_decisions, 1.0)
        return self.config.epsilon + done * (self.config.epsilon_last - self.config.epsilon)

    def act(self, states: np.ndarray, explore: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Actions (B,) for states (B, k, F) and the values (B, A) behind them; the best ones unless exploring."""
        noisy = self.config.network.noisy
        if explore and noisy:
            self.network.draw_noise(self._noise)
        else:
            self.network.silence()
        with torch.inference_mode():
            outputs = self.network(self._tensor(np.asarray(states, np.float32)))
            values = loss.action_values(outputs, self._atoms).cpu().numpy()
        actions = values.argmax(1)
        if explore and not noisy:
            chance = self._rng.random(len(actions)) < self.epsilon
            actions = np.where(chance, self._rng.integers(values.shape[1], size=len(actions)), actions)
        return actions, values

    def reseed(self, seed: int) -> None:
        """What is left to chance follows from `seed` from now on."""
        self._rng = np.random.default_rng(seed)
        self._noise.manual_seed(seed)

    def begin_with(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin with what another agent has learned. Raises RuntimeError for weights of another network."""
        self.network.load_state_dict(weights)
        self._target.load_state_dict(weights)

    def add(self, episode: EpisodeSteps) -> None:
        """Learn from `episode` from now on; its decisions count."""
        self.replay.add(episode)
        self.decisions += len(episode.actions)

    def learn(self) -> Update:
        """One update. Raises InvalidInputError that names the transition where a loss is not finite."""
        config = self.config
        batch = self.replay.sample(config.batch, config.steps, config.discount, self._rng)
        self.network.draw_noise(self._noise)
        self._target.draw_noise(self._noise)
        outputs = self.network(self._tensor(batch.states))
        batches = [batch]
        if config.one_step and config.steps > 1:
            batches.append(self.replay.batch(batch.indices, 1, config.discount))
        believed = self._believed(batches)
        losses, priorities = self._losses(outputs, batch, believed[0])
        for other, rated in zip(batches[1:], believed[1:]):
            losses = losses + self._losses(outputs, other, rated)[0]
        self._check(losses, batch)
        total = (self._tensor(self._weights(batch)) * losses).mean()
        gradient = self._step(total)
        self.replay.set_priorities(batch.indices, priorities.cpu().numpy())
        self.updates += 1
        if self.updates % config.target_period == 0:
            self._update_target()
        value = loss.action_values(outputs.detach(), self._atoms).amax(1).mean()
        return Update(total.item(), value.item(), priorities.mean().item(), gradient)

    def get_state(self) -> dict[str, Any]:
        """Everything that learning goes on from, in copies: tensors, arrays and plain values."""
        return {
            "config": to_dict(self.config),
            "network": copy.deepcopy(self.network.state_dict()),
            "target": copy.deepcopy(self._target.state_dict()),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "replay": self.replay.get_state(),
            "rng": self._rng.bit_generator.state,
            "noise": self._noise.get_state(),
            "updates": self.updates,
            "decisions": self.decisions,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there, to the bit. Raises ConfigError for the state of another configuration."""
        if state["config"] != to_dict(self.config):
            changed = [key for key, value in to_dict(self.config).items() if state["config"].get(key) != value]
            raise ConfigError(f"Rainbow state: of another configuration, which differs in {', '.join(changed)}")
        self.replay.set_state(state["replay"])
        self.network.load_state_dict(state["network"])
        self._target.load_state_dict(state["target"])
        self._optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self._rng.bit_generator.state = state["rng"]
        self._noise.set_state(state["noise"])
        self.updates, self.decisions = state["updates"], state["decisions"]

    def _believed(self, batches: Sequence[Batch]) -> Sequence[torch.Tensor]:
        """What the target network says of the best next action: outputs (B, N) for each batch, all rated at once."""
        states = torch.cat([self._tensor(batch.next_states) for batch in batches])
        with torch.no_grad():
            rated = self._target(states)
            values = loss.action_values(rated, self._atoms)
            online = loss.action_values(self.network(states), self._atoms) if self.config.double else values
            best = loss.bootstrap_actions(online, values, self.config.double)
            return rated[torch.arange(len(best), device=self._device), best].chunk(len(batches))

    def _losses(self, outputs: torch.Tensor, batch: Batch, believed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and the new priority of each transition, (B,) twice, from the outputs (B, A, N) of its states."""
        rows = torch.arange(len(batch.actions), device=self._device)
        taken = outputs[rows, self._tensor(batch.actions)]  # (B, N)
        returns, discounts = self._tensor(batch.returns), self._tensor(batch.discounts)
        if len(self._atoms) == 1:
            target = returns + discounts * believed[:, 0]
            return loss.huber(taken[:, 0], target), (taken.detach()[:, 0] - target).abs()
        law = loss.project(torch.softmax(believed, -1), returns, discounts, self._atoms)
        losses = loss.cross_entropy(taken, law)
        return losses, loss.divergence(losses.detach(), law)

    def _weights(self, batch: Batch) -> np.ndarray:
        """Importance weights (B,), which undo the preference in the draw more and more."""
        if not self.config.replay.prioritised:
            return np.ones(len(batch.actions), np.float32)
        done = min(self.updates / self.config.importance_updates, 1.0)
        exponent = self.config.importance + done * (1.0 - self.config.importance)
        return loss.importance_weights(batch.probabilities, len(self.replay), exponent)

    def _step(self, total: torch.Tensor) -> float:
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip or math.inf))
        if not math.isfinite(norm):  # the weights would be lost, and the next update blame a transition for it
            raise InvalidInputError(
                f"update {self.updates}: the gradient's norm is {norm}, of a loss of {total.item():g}"
            )
        self._optimiser.step()
        return norm

    def _update_target(self) -> None:
        with torch.no_grad():
            for slow, fast in zip(self._target.parameters(), self.network.parameters()):
                slow.lerp_(fast, self.config.target_mix)

    def _check(self, losses: torch.Tensor, batch: Batch) -> None:
        if not bool(torch.isfinite(losses).all()):
            row = int((~torch.isfinite(losses)).nonzero()[0])
            raise InvalidInputError(
                f"update {self.updates}: loss {losses[row].item()} of the transition at {batch.indices[row]} "
                f"(action {batch.actions[row]}, return {batch.returns[row]:g}, discount {batch.discounts[row]:g})"
            )

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)


def make(
    config: RainbowConfig,
    features: int,
    stack: int,
    actions: int,
    bounds: tuple[float, float],
    seed: int = 0,
    device: str = "cpu",
) -> Rainbow:
    """An agent that has learned nothing: `actions` values between `bounds` of `stack` times `features` numbers."""
    low, high = bounds
    if not low < high:
        raise ConfigError(f"Rainbow: expected bounds of the value in increasing order, got {low} and {high}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # weights are drawn from the global generator, which is as before afterwards
        network = ValueNetwork(config.network, features, stack, actions)
    replay = Replay(config.replay, features, stack, config.network.encoder.pixels)
    atoms = loss.support(low, high, config.network.atoms)
    return Rainbow(config, network.to(device), replay, atoms, seed)
