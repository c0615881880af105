"""How fast a joint can be: the velocity at which it stops following, the acceleration it reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Response, even

_WINDOW_S = 0.1  # over which a velocity reached is averaged
_JERKY_S = 0.06  # and an acceleration
_SHARE = 0.95  # a joint capped nearer to what it was sent than this was not capped
_BETTER = 0.7  # a cap must explain the motion so much better than none, in root mean square
_FELT = 0.005  # of the stroke: without a cap the motion must be missed by so much; less is the model's own error
_COARSE, _REFINEMENTS = 25, 3


@dataclass(frozen=True)
class Speed:
    """sent, reached: fastest in the strokes [rad/s]; cap: where the joint stops following, infinite if it never did;
    acceleration: largest reached [rad/s2]."""

    sent: float
    reached: float
    cap: float
    acceleration: float

    @property
    def capped(self) -> bool:
        return bool(np.isfinite(self.cap))


def cap_of(recording: Recording, response: Response) -> float:
    """The velocity [rad/s] above which the joint did not follow a stroke; infinite if it followed all of it.

    The one rate limit before `response` that best explains the whole motion in least squares.
    """
    times, sent = even(recording)
    fastest = recording.motion.peak_rate
    low, high, best = 0.1 * fastest, 1.1 * fastest, fastest
    for _ in range(_REFINEMENTS):
        tried = np.linspace(low, high, _COARSE)
        best = float(min(tried, key=lambda cap: _misfit(recording, response, times, sent, float(cap))))
        step = float(tried[1] - tried[0])
        low, high = max(best - step, 0.05 * fastest), best + step
    free = _misfit(recording, response, times, sent, np.inf)
    felt = free > _FELT * recording.motion.reach
    capped = best < _SHARE * fastest and _misfit(recording, response, times, sent, best) < _BETTER * free
    return best if felt and capped else np.inf


def speed_of(recordings: Sequence[Recording], response: Response) -> Speed:
    """What strokes, at least one, tell together. Raises InvalidInputError for too few joint states."""
    sent = max(recording.motion.peak_rate for recording in recordings)
    reached = max(_fastest(recording) for recording in recordings)
    fastest = max(recordings, key=lambda recording: recording.motion.peak_rate)
    acceleration = max(_hardest(recording) for recording in recordings)
    return Speed(sent, reached, cap_of(fastest, response), acceleration)


def _misfit(recording: Recording, response: Response, times: np.ndarray, sent: np.ndarray, cap: float) -> float:
    modelled = np.interp(recording.times, times, response.simulate(times, sent, cap))
    error = recording.position - modelled
    return float(np.std(error))  # an offset is gravity's


def _fastest(recording: Recording) -> float:
    """The largest mean velocity over a window [rad/s]."""
    recording.between(0.0, recording.motion.duration)
    return float(np.abs(_slopes(recording.times, recording.position, _WINDOW_S)).max())


def _hardest(recording: Recording) -> float:
    """The largest mean acceleration over a window, from measured velocities [rad/s2]."""
    return float(np.abs(_slopes(recording.times, recording.velocity, _JERKY_S)).max())


def _slopes(times: np.ndarray, values: np.ndarray, window: float) -> np.ndarray:
    """Least-squares slopes (n,) of `values` over windows [s] about each sample; 0 where too few samples are."""
    first = np.searchsorted(times, times - window / 2.0 - 1e-9)
    last = np.searchsorted(times, times + window / 2.0 + 1e-9)
    slopes = np.zeros(len(times))
    for i, (a, b) in enumerate(zip(first, last)):
        t = times[a:b] - times[a:b].mean()
        if b - a >= 4 and t[-1] - t[0] > 0.6 * window:
            slopes[i] = float(t @ values[a:b] / (t @ t))
    return slopes
