"""Prioritised replay of whole episodes: each step's features once, stacks and n-step returns made on the way out.

Schaul et al. 2016, https://arxiv.org/abs/1511.05952, sections 3.3 and 3.4; n-step as in Rainbow,
https://arxiv.org/abs/1710.02298, section "Multi-step learning".

Episodes come in complete, once their end is known: what a person labels afterwards, or an episode that is
discarded, needs no repair here, and steps of concurrent episodes never mix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.sum_tree import SumTree

# Keeps every step's chance above 0 where its error vanishes (the paper's epsilon).
SMALLEST_PRIORITY = 1e-6


@dataclass(frozen=True)
class ReplayConfig:
    """How much is kept, and how it is drawn. The exponents' defaults are SpeedTuning's."""

    capacity: int = option(1_000_000, "steps kept", minimum=1)
    precision: str = option("float32", "how features are stored", choices=("float32", "float16"))
    prioritised: bool = option(True, "draw steps by their last error, not uniformly")
    exponent: float = option(0.2, "of the priority: 0 uniform, 1 proportional", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class EpisodeSteps:
    """A whole episode of T decisions: features (T, F), actions (T,), rewards (T,). Its end is final: nothing follows.

    Raises InvalidInputError that names the step with a NaN.
    """

    features: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        length = len(self.actions)
        if not length or len(self.features) != length or np.shape(self.rewards) != (length,):
            raise InvalidInputError(
                f"episode '{self.name}': expected as many features and rewards as actions, at least 1, "
                f"got {len(self.features)}, {np.shape(self.rewards)} and {length}"
            )
        for what in ("features", "rewards"):
            bad = ~np.isfinite(np.asarray(getattr(self, what), np.float64)).reshape(length, -1).all(1)
            if bad.any():
                step = int(np.argmax(bad))
                raise InvalidInputError(
                    f"episode '{self.name}', decision {step} of {length}: {what} not finite; "
                    f"action {self.actions[step]}, reward {self.rewards[step]}"
                )


@dataclass(frozen=True)
class Batch:
    """B drawn transitions: s, a, the discounted rewards of up to n steps, and s' n steps on.

    states, next_states (B, k, F) float32, oldest first; actions (B,); returns (B,); discounts (B,): of the value of
    s', 0 where the episode ended before; indices (B,), for `set_priorities`; probabilities (B,): with which each was
    drawn.
    """

    states: np.ndarray
    actions: np.ndarray
    returns: np.ndarray
    discounts: np.ndarray
    next_states: np.ndarray
    indices: np.ndarray
    probabilities: np.ndarray


class Replay:
    """A ring of steps. An episode that is overwritten in part is never drawn from again.

    features: numbers a step; stack: the last so many steps of an episode make a state, its first step repeated
    before its beginning; pixels: so many of the features, the last ones, are whole numbers 0 to 255, kept as bytes.
    """

    def __init__(self, config: ReplayConfig, features: int, stack: int, pixels: int = 0) -> None:
        if features < 1 or stack < 1 or not 0 <= pixels <= features:
            raise ConfigError(
                f"replay: expected at least 1 feature, a stack of 1 and no more pixels than features, "
                f"got {features}, {stack} and {pixels}"
            )
        self.config = config
        self._stack = stack
        self._width = features
        self._columns = {
            "features": np.zeros((config.capacity, features - pixels), config.precision),
            "pixels": np.zeros((config.capacity, pixels), np.uint8),
            "actions": np.zeros(config.capacity, np.int16),
            "rewards": np.zeros(config.capacity, np.float32),
            "age": np.zeros(config.capacity, np.int32),  # steps since the episode began
            "left": np.zeros(config.capacity, np.int32),  # steps until it ends, itself included
        }
        self._tree = SumTree(config.capacity)
        self._episodes: deque[tuple[int, int]] = deque()  # first index and length, oldest first
        self._next = self._count = 0
        self._highest = 1.0  # priority given to new steps, so that each is drawn soon

    def __len__(self) -> int:
        """Steps that can be drawn."""
        return self._count

    def add(self, episode: EpisodeSteps) -> None:
        """Store an episode over the oldest ones. Raises InvalidInputError if it does not fit."""
        length, width = len(episode.actions), self._width
        if length > self.config.capacity or np.shape(episode.features) != (length, width):
            raise InvalidInputError(
                f"episode '{episode.name}': expected at most {self.config.capacity} decisions of {width} features, "
                f"got {np.shape(episode.features)}"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # seen below
            stored, pixels = self._stored(episode.features)
        if not np.isfinite(stored).all():
            raise InvalidInputError(f"episode '{episode.name}': a feature is too large for {self.config.precision}")
        if (pixels != episode.features[:, stored.shape[1] :]).any():
            raise InvalidInputError(f"episode '{episode.name}': expected pixels to be whole numbers from 0 to 255")
        self._evict(length)
        rows = (self._next + np.arange(length)) % self.config.capacity
        age = np.arange(length)
        for name, values in zip(self._columns, (stored, pixels, episode.actions, episode.rewards, age, length - age)):
            self._columns[name][rows] = values
        self._tree.set(rows, np.full(length, self._weight(self._highest)))
        self._episodes.append((self._next, length))
        self._count += length
        self._next = (self._next + length) % self.config.capacity

    def sample(self, size: int, steps: int, discount: float, rng: np.random.Generator) -> Batch:
        """`size` transitions over `steps` steps. Raises InvalidInputError if there is nothing yet."""
        if not self._episodes:
            raise InvalidInputError("replay: expected at least one episode before sampling, got none")
        # One mark in each of `size` equal shares of the total: less variance than drawing them freely.
        marks = (np.arange(size) + rng.random(size)) / size * self._tree.total
        rows = self._tree.find(marks)
        return self.batch(rows, steps, discount)

    def batch(self, rows: np.ndarray, steps: int, discount: float) -> Batch:
        """The transitions that begin at `rows` (B,)."""
        columns, capacity = self._columns, self.config.capacity
        left = columns["left"][rows]
        ahead = np.arange(steps)
        inside = ahead < left[:, None]  # (B, steps)
        rewards = columns["rewards"][(rows[:, None] + ahead) % capacity].astype(np.float64)
        returns = np.sum(np.where(inside, rewards * discount**ahead, 0.0), axis=1)
        goes_on = left > steps
        after = np.where(goes_on, rows + steps, rows) % capacity  # any row will do where the discount is 0
        return Batch(
            self._states(rows),
            columns["actions"][rows].astype(np.int64),
            returns.astype(np.float32),
            np.where(goes_on, discount**steps, 0.0).astype(np.float32),
            self._states(after),
            rows,
            self._tree.weights[rows] / self._tree.total,
        )

    def set_priorities(self, indices: np.ndarray, priorities: np.ndarray) -> None:
        """New priorities (B,) of drawn steps. Raises InvalidInputError if one is not finite or below 0."""
        if not np.isfinite(priorities).all():
            raise InvalidInputError(f"priorities: expected finite numbers, got {priorities}")
        self._tree.set(indices, self._weight(np.asarray(priorities, np.float64) + SMALLEST_PRIORITY))
        self._highest = max(self._highest, float(np.max(priorities)))

    def get_state(self) -> dict[str, Any]:
        """Everything, in copies: arrays and plain numbers."""
        used = self._used
        return {
            "columns": {name: column[:used].copy() for name, column in self._columns.items()},
            "weights": self._tree.weights[:used].copy(),
            "episodes": np.array(self._episodes, np.int64).reshape(-1, 2),
            "next": self._next,
            "highest": self._highest,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Become what `get_state` described, to the bit. Raises ConfigError if it was of another shape."""
        used = len(state["weights"])
        for name, column in self._columns.items():
            saved = state["columns"][name]
            if saved.dtype != column.dtype or saved.shape[1:] != column.shape[1:] or used > len(column):
                raise ConfigError(
                    f"replay state: expected {name} {column.dtype} {column.shape}, found {saved.dtype} {saved.shape}"
                )
            column[:used], column[used:] = saved, 0
        self._tree = SumTree(self.config.capacity)
        self._tree.set(np.arange(used), state["weights"])
        self._episodes = deque((int(first), int(length)) for first, length in state["episodes"])
        self._count = sum(length for _, length in self._episodes)
        self._next, self._highest = int(state["next"]), float(state["highest"])

    @property
    def _used(self) -> int:
        """Rows ever written: all once the ring has closed."""
        wrapped = any(first + length >= self.config.capacity or first >= self._next for first, length in self._episodes)
        return self.config.capacity if wrapped else self._next

    def _stored(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (T, F) as they are kept: numbers and bytes."""
        numbers = self._columns["features"].shape[1]
        return np.asarray(features[:, :numbers], self.config.precision), np.asarray(features[:, numbers:], np.uint8)

    def _weight(self, priority: Any) -> Any:
        return priority ** (self.config.exponent if self.config.prioritised else 0.0)

    def _evict(self, length: int) -> None:
        """Give up the oldest episodes until `length` rows from the next one on are free."""
        free = self.config.capacity - self._gap
        while free < length:
            first, old = self._episodes.popleft()
            self._count -= old
            self._tree.set((first + np.arange(old)) % self.config.capacity, np.zeros(old))
            free = self.config.capacity - self._gap

    @property
    def _gap(self) -> int:
        """Rows from the oldest episode's first to the next to be written."""
        if not self._episodes:
            return 0
        return (self._next - self._episodes[0][0] - 1) % self.config.capacity + 1

    def _states(self, rows: np.ndarray) -> np.ndarray:
        """The stacks that end at `rows` (B,): (B, k, F)."""
        back = np.minimum(np.arange(self._stack - 1, -1, -1), self._columns["age"][rows][:, None])
        rows = (rows[:, None] - back) % self.config.capacity
        return np.concatenate([self._columns[name][rows] for name in ("features", "pixels")], -1, dtype=np.float32)
