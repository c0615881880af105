"""A learning agent in the loop: what it saw and chose at each decision, kept for whoever trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.speed.features import FeatureStack
from speedtune_ros.speed.guide import Guide
from speedtune_ros.speed.rainbow import Rainbow
from speedtune_ros.types import Episode, Query, SpeedChoice


@dataclass(frozen=True)
class Decisions:
    """What an episode's T decisions saw and chose: features (T, F), actions (T,), stamps (T,) [ns]."""

    features: np.ndarray
    actions: np.ndarray
    stamps: np.ndarray


class Decision(NamedTuple):
    """One of them: an action, the values (A,) of all actions and the features (F,) behind it."""

    action: int
    values: np.ndarray
    features: np.ndarray


@dataclass
class _Record:
    episode: Episode
    features: list[np.ndarray] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)


class Decider(ABC):
    """Takes the agent's best action for each query, or what it would try while `explore` is on.

    Each episode's decisions are kept until its slot begins another one. While exploring, a `guide` may choose instead.
    """

    def __init__(self, agent: Rainbow, features: FeatureStack, explore: bool = False) -> None:
        self.explore = explore
        self.guide: Guide | None = None
        self._agent = agent
        self._features = features
        self._records: dict[int, _Record] = {}

    @property
    def agent(self) -> Rainbow:
        return self._agent

    @property
    def size(self) -> int:
        """F, how many numbers a decision sees."""
        return self._features.size

    def try_out(self, seed: int) -> None:
        """Explore from now on, as training does, in a way that follows from `seed`."""
        self.explore = True
        self._agent.reseed(seed)

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in batch slot `slot`."""
        self._features.reset(episode, slot)
        self._records[slot] = _Record(episode)
        if self.explore and self.guide is not None:
            self.guide.reset(episode, slot)

    @abstractmethod
    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        """One choice of speed for each slot's query, as a SpeedPolicy makes it."""

    def settle(self, action: int, values: np.ndarray) -> int:
        """The action that is taken where the agent, or its guide, chose `action` from `values` (A,)."""
        return action

    def decide(self, queries: Mapping[int, Query]) -> dict[int, Decision]:
        """One decision for each slot's query, as one batch. Raises InvalidInputError."""
        states = self._features.observe(queries)
        if not states:
            return {}
        actions, values = self._agent.act(np.stack([states[slot] for slot in queries]), self.explore)
        if self.explore and self.guide is not None:
            guided = self.guide.actions(queries)
            actions = np.array([guided.get(slot, action) for slot, action in zip(queries, actions)])
        decided = {
            slot: Decision(self.settle(int(actions[i]), values[i]), values[i], states[slot][-1])
            for i, slot in enumerate(queries)
        }
        for slot, decision in decided.items():
            record = self._records[slot]
            record.features.append(decision.features)
            record.actions.append(decision.action)
            record.stamps.append(queries[slot].request.stamp_ns)
        return decided

    def decisions(self, episode: Episode) -> Decisions:
        """Of an episode that is still the last one of its slot. Raises InvalidInputError for another one."""
        for record in self._records.values():
            if record.episode == episode and record.actions:
                return Decisions(np.stack(record.features), np.array(record.actions), np.array(record.stamps, np.int64))
        known = ", ".join(record.episode.id for record in self._records.values())
        raise InvalidInputError(f"decisions of episode '{episode.id}': not known; known: {known or 'none'}")
