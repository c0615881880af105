"""A learning agent as a speed policy: exploring while it is trained, greedy when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speedtune_ros.speed.decider import Decider
from speedtune_ros.speed.features import FeatureStack
from speedtune_ros.speed.rainbow import Rainbow
from speedtune_ros.speed.reward import checked_speeds
from speedtune_ros.types import Query, SpeedChoice


class LearnedSpeed(Decider):
    """Implements SpeedPolicy by the agent's best speed of the set `speeds`, or by what it would try.

    tolerance: of all speeds whose value is at most so much below the best one's, the fastest is chosen, or the slowest
    if it is negative; in units of the reward (success pays 100). So one trained policy covers a stretch of the curve of
    success against speed.
    Raises ConfigError for an impossible set.
    """

    def __init__(
        self,
        agent: Rainbow,
        features: FeatureStack,
        speeds: Sequence[float],
        explore: bool = False,
        source: str = "",
        cameras: Mapping[str, tuple[int, int]] = {},
    ) -> None:
        super().__init__(agent, features, explore)
        self.cameras = dict(cameras)  # (height, width) of those it must be shown
        self.digest = ""  # of its checkpoint, if it has one
        self.tolerance = 0.0
        self._speeds = checked_speeds(speeds)
        self._source = source or "rainbow"

    def settle(self, action: int, values: np.ndarray) -> int:
        """The fastest or slowest speed within the tolerance."""
        if self.tolerance == 0.0 or self.explore:
            return action
        within = np.flatnonzero(values >= values.max() - abs(self.tolerance))
        return int(within[-1 if self.tolerance > 0.0 else 0])

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        """One choice for each slot's query, with the values of all speeds. Raises InvalidInputError."""
        choices = {}
        for slot, (action, values, features) in self.decide(queries).items():
            stamp_ns, speed = queries[slot].request.stamp_ns, self._speeds[action]
            self._features.chose(slot, speed)
            numbers = tuple(values.tolist()), self._source, tuple(features.tolist())
            choices[slot] = SpeedChoice(stamp_ns, speed, self._speeds, *numbers)
        return choices
