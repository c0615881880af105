"""Temporal ensembling as in ACT: the mean of what all recent chunks say about the same moment.

Zhao et al. 2023, algorithm 2, https://arxiv.org/abs/2304.13705: weights exp(-m * i), i = 0 for the oldest.
"""

from __future__ import annotations

import dataclasses
from collections import deque

import numpy as np

from speedtune_ros.types import Chunk

_ROUNDING = 1e-9  # [s]


class TemporalEnsemble:
    """Averages each new chunk with earlier ones on the common axis of demonstration time.

    weight: m above; capacity: how many chunks are remembered.
    """

    def __init__(self, weight: float = 0.01, capacity: int = 100) -> None:
        self._weight = weight
        self._past: deque[tuple[float, Chunk]] = deque(maxlen=capacity)

    def reset(self) -> None:
        """Forget all chunks: a new episode begins."""
        self._past.clear()

    def blend(self, chunk: Chunk, progress: float) -> Chunk:
        """`chunk`, observed at `progress` [s] of the episode, with its first candidate replaced by the mean."""
        times = progress + chunk.knots
        while self._past and self._past[0][0] + self._past[0][1].knots[-1] < times[0]:
            self._past.popleft()
        self._past.append((progress, chunk))
        total = np.zeros(chunk.targets.shape[1:])
        weights = np.zeros((chunk.horizon, 1))
        for age, (start, other) in enumerate(self._past):
            values, covered = _at(other, times - start)
            share = np.exp(-self._weight * age) * covered[:, None]
            total += share * values
            weights += share
        blended = np.concatenate(((total / weights)[None], chunk.targets[1:]))
        return dataclasses.replace(chunk, targets=blended)


def _at(chunk: Chunk, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chunk's targets (m, 14) at times (m,) after its observation [s], and where it covers them (m,)."""
    knots, path = chunk.knots, chunk.targets[0]
    x = np.clip((times - knots[0]) / chunk.dt, 0.0, chunk.horizon - 1.0)
    below = np.minimum(x.astype(np.intp), chunk.horizon - 2)
    values = path[below] + (x - below)[:, None] * (path[below + 1] - path[below])
    covered = (times >= knots[0] - _ROUNDING) & (times <= knots[-1] + _ROUNDING)
    return values, covered
