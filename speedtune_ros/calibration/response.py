"""How a joint answers its command: dead time, time constant, inertia, from tones of a few frequencies.

A position-controlled joint with stiffness K, damping D and inertia J whose commands arrive d late:

    G(s) = g exp(-s d) / (1 + tau s + beta s**2),  tau = D / K, beta = J / K

At low frequency it trails its command by d + tau. For each d the reciprocal is linear in 1/g, tau/g and beta/g, so
only d is searched for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.signal import cont2discrete, lfilter

from speedtune_ros.calibration.recording import Recording
from speedtune_ros.errors import InvalidInputError

_SETTLED_S = 0.3  # after which the swelling of a tone is forgotten
_LONGEST = 0.6  # [s], dead time searched
_COARSE, _FINE = 0.01, 0.0005  # [s]
_STEP = 0.002  # [s], of simulations
_LEAST_INERTIA = 1e-5  # [s2]: below it the inertia cannot be told from none


class Gain(NamedTuple):
    """The complex ratio of reached to sent at one angular frequency [rad/s]."""

    omega: float
    value: complex


@dataclass(frozen=True)
class Response:
    """d = delay [s], tau = time_constant [s], beta = inertia [s2], g = gain; misfit: root mean square of the gains'."""

    delay: float
    time_constant: float
    inertia: float
    gain: float
    misfit: float

    @property
    def lag(self) -> float:
        """By how much a slow motion is late [s]."""
        return self.delay + self.time_constant

    def at(self, omega: np.ndarray) -> np.ndarray:
        """G (n,) at angular frequencies (n,) [rad/s]."""
        s = 1j * np.asarray(omega)
        below = 1.0 + self.time_constant * s + self.inertia * s**2
        return np.asarray(self.gain * np.exp(-s * self.delay) / below)

    def simulate(self, times: np.ndarray, sent: np.ndarray, cap: float = np.inf) -> np.ndarray:
        """Positions (n,) reached at `times` (n,), evenly spaced, for `sent` (n,), at rest before.

        cap: what is sent to the joint's controller changes no faster than this [rad/s], as firmware does it.
        """
        dt = float(times[1] - times[0])
        delayed = np.interp(times - self.delay, times, sent)
        demand = _rate_limited(delayed, cap * dt)
        denominator = [max(self.inertia, _LEAST_INERTIA), self.time_constant, 1.0]
        above, below, _ = cont2discrete(([self.gain], denominator), dt)  # exact for what is constant over a step
        return sent[0] + np.asarray(lfilter(np.ravel(above), below, demand - sent[0]))


def gain_of(recording: Recording) -> Gain:
    """The gain of a tone, by least squares over its steady part. Raises InvalidInputError."""
    motion = recording.motion
    if not motion.frequency_hz:
        raise InvalidInputError(f"{motion.joint}: a {motion.kind.value} has no frequency; expected a tone")
    omega = 2.0 * np.pi * motion.frequency_hz
    mask = recording.between(motion.steady[0] + _SETTLED_S, motion.steady[1])
    times = recording.times[mask]
    reached, sent = phasor(times, recording.position[mask], omega), phasor(times, recording.sent(times), omega)
    return Gain(omega, reached / sent)


def fit_response(gains: Sequence[Gain]) -> Response:
    """The response that best matches the gains in least squares, relative to each.

    Raises InvalidInputError for fewer than three different frequencies, and for a joint that does not move.
    """
    omega = np.array([gain.omega for gain in gains])
    if len(set(omega.tolist())) < 3:
        raise InvalidInputError(f"response: expected tones of at least 3 frequencies, got {len(set(omega.tolist()))}")
    value = np.array([gain.value for gain in gains])
    if np.abs(value).min() < 1e-3:
        raise InvalidInputError("response: the joint does not move with its command; is it blocked?")
    coarse = min(np.arange(0.0, _LONGEST, _COARSE).tolist(), key=lambda d: _fit(omega, value, d).misfit)
    near = np.arange(max(coarse - _COARSE, 0.0), coarse + _COARSE, _FINE).tolist()
    return _fit(omega, value, min(near, key=lambda d: _fit(omega, value, d).misfit))


def _fit(omega: np.ndarray, value: np.ndarray, delay: float) -> Response:
    """The best response of this dead time."""
    reciprocal = np.exp(-1j * omega * delay) / value
    weight = np.abs(value)  # of errors in the gain, relative to it
    columns = np.stack([np.ones_like(omega), 1j * omega, -(omega**2)], axis=1) * weight[:, None]
    target = reciprocal * weight
    system, wanted = np.vstack([columns.real, columns.imag]), np.concatenate([target.real, target.imag])
    solution, residual = nnls(system, wanted)  # no joint has a negative time constant or inertia
    static, rate, second = solution.tolist()
    if static == 0.0:
        return Response(delay, 0.0, 0.0, 1.0, np.inf)
    return Response(delay, rate / static, second / static, 1.0 / static, float(residual / np.sqrt(len(wanted))))


def phasor(times: np.ndarray, values: np.ndarray, omega: float) -> complex:
    """a + jb of the best a sin + b cos at `omega`, beside an offset and a drift."""
    columns = np.stack([np.sin(omega * times), np.cos(omega * times), np.ones_like(times), times], axis=1)
    a, b, *_ = np.linalg.lstsq(columns, values, rcond=None)[0]
    return complex(a, b)


def even(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spaced times (m,) over a recording and what was sent then (m,): the input of `simulate`."""
    times = np.arange(0.0, max(float(recording.times[-1]), _STEP * 2), _STEP)
    return times, recording.sent(times)


def _rate_limited(values: np.ndarray, step: float) -> np.ndarray:
    if not np.isfinite(step):
        return values
    limited, last = np.empty_like(values), float(values[0])
    for i, value in enumerate(values.tolist()):
        last += min(max(value - last, -step), step)
        limited[i] = last
    return limited
