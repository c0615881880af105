"""A learning agent as a speed policy: exploring while it is trained, greedy when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.speed.features import FeatureStack
from speedtune_ros.speed.rainbow import Rainbow
from speedtune_ros.speed.reward import checked_speeds
from speedtune_ros.types import Episode, Query, SpeedChoice


@dataclass(frozen=True)
class Decisions:
    """What an episode's T decisions saw and chose: features (T, F), actions (T,) into V, stamps (T,) [ns]."""

    features: np.ndarray
    actions: np.ndarray
    stamps: np.ndarray


@dataclass
class _Record:
    episode: Episode
    features: list[np.ndarray] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)


class LearnedSpeed:
    """Implements SpeedPolicy by the agent's best speed of the set `speeds`, or by what it would try.

    Each episode's decisions are kept until its slot begins another one; `decisions` gives them to whoever trains.
    Raises ConfigError for an impossible set.
    """

    def __init__(
        self, agent: Rainbow, features: FeatureStack, speeds: Sequence[float], explore: bool = False, source: str = ""
    ) -> None:
        self.explore = explore
        self._agent = agent
        self._features = features
        self._speeds = checked_speeds(speeds)
        self._source = source or "rainbow"
        self._records: dict[int, _Record] = {}

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._features.reset(episode, slot)
        self._records[slot] = _Record(episode)

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        """One choice for each slot's query, with the values of all speeds. Raises InvalidInputError."""
        states = self._features.observe(queries)
        if not states:
            return {}
        actions, values = self._agent.act(np.stack([states[slot] for slot in queries]), self.explore)
        return {
            slot: self._choice(slot, query, states[slot], int(actions[row]), values[row])
            for row, (slot, query) in enumerate(queries.items())
        }

    def decisions(self, episode: Episode) -> Decisions:
        """Of an episode that is still the last one of its slot. Raises InvalidInputError for another one."""
        for record in self._records.values():
            if record.episode == episode and record.actions:
                return Decisions(np.stack(record.features), np.array(record.actions), np.array(record.stamps, np.int64))
        known = ", ".join(record.episode.id for record in self._records.values())
        raise InvalidInputError(f"decisions of episode '{episode.id}': not known; known: {known or 'none'}")

    def _choice(self, slot: int, query: Query, state: np.ndarray, action: int, values: np.ndarray) -> SpeedChoice:
        speed, record = self._speeds[action], self._records[slot]
        self._features.chose(slot, speed)
        record.features.append(state[-1])
        record.actions.append(action)
        record.stamps.append(query.request.stamp_ns)
        return SpeedChoice(query.request.stamp_ns, speed, self._speeds, tuple(values.tolist()), self._source)
