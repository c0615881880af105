"""What a learned speed policy sees of each decision: everything the next one depends on.

Joint state and images alone are not Markov here. How the arms move next depends also on the speed being executed, on
the ceiling chosen before (a trajectory approaches it, it does not jump), on how much of the present chunk is left to
run, and the return on how much time is left. All of it follows from the queries and choices of an episode, so
training and running use this one object, per slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import NUM_JOINTS, start_pose
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.projection import Projection, Unchanged
from speedtune_ros.types import Episode, Query

# The images of each query to one vector each: (B, E), as one batch. Raises InvalidInputError on a wrong image.
Encoder = Callable[[Sequence[Query]], np.ndarray]

# Brings each quantity to about 1. Wide enough that nothing is cut off; the network learns the rest.
JOINT_SCALE = 1.0  # [rad], of the distance from the start pose; grippers 0 to 1
VELOCITY_SCALE = 2.0  # [rad/s]
SPEED_SCALE = 3.0  # sdot and ceilings
PROGRESS_SCALE = 8.0  # [s], about the length of a demonstration
LATENCY_SCALE = 0.05  # [s], from the observation to the hand-over


@dataclass(frozen=True)
class FeatureConfig:
    """What is seen, and how many decisions back."""

    k_stack: int = option(5, "decisions stacked, the present one included", minimum=1)
    qpos: bool = option(True, "joint positions")
    qvel: bool = option(True, "joint velocities")
    images: bool = option(True, "images, through an encoder")
    markov: bool = option(True, "executed speed, previous ceiling, progress, what is left of the chunk, time left")
    latency: bool = option(False, "how much later what is chosen will take effect")


@dataclass(frozen=True)
class EpisodeScale:
    """What the features of time are measured by.

    time_limit [s] of an episode; chunk_length [s] of demonstration in one chunk.
    """

    time_limit: float
    chunk_length: float

    def __post_init__(self) -> None:
        for name in ("time_limit", "chunk_length"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ConfigError(f"{name}: expected a positive time [s], got {getattr(self, name)}")


@dataclass
class _History:
    """One slot's episode so far."""

    episode: Episode
    frames: deque[np.ndarray]
    began_ns: int | None = None
    speed: float = 1.0  # the ceiling chosen last
    requested: float | None = None  # progress at which the present chunk was asked for [s]


class FeatureStack:
    """Queries to states (B, k, F) float32, oldest first, one history a slot.

    encoder: needed where the configuration has images; encoded: what is kept of its E numbers.
    Raises ConfigError if images are wanted and there is no encoder, or nothing at all is seen.
    """

    def __init__(
        self,
        config: FeatureConfig,
        scale: EpisodeScale,
        encoder: Encoder | None = None,
        encoded: Projection | Unchanged | None = None,
    ) -> None:
        if config.images and (encoder is None or encoded is None):
            raise ConfigError("features: images are on, but there is no encoder; expected one, or images: false")
        self.config = config
        self._scale = scale
        self._encoder = encoder if config.images else None
        self._encoded = encoded if config.images else None
        self._histories: dict[int, _History] = {}
        if not self.size:
            raise ConfigError("features: expected at least one of qpos, qvel, images, markov and latency, got none")

    @property
    def names(self) -> tuple[str, ...]:
        """What each number is, in order."""
        config = self.config
        names = [f"qpos{i}" for i in range(NUM_JOINTS)] if config.qpos else []
        names += [f"qvel{i}" for i in range(NUM_JOINTS)] if config.qvel else []
        names += ["speed", "ceiling", "progress", "chunk_left", "time_left"] if config.markov else []
        names += ["latency"] if config.latency else []
        size = 0 if self._encoded is None else self._encoded.size
        return (*names, *(f"image{i}" for i in range(size)))

    @property
    def size(self) -> int:
        """F, numbers a decision."""
        return len(self.names)

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in `slot`."""
        self._histories[slot] = _History(episode, deque(maxlen=self.config.k_stack))

    def observe(self, queries: Mapping[int, Query]) -> dict[int, np.ndarray]:
        """The state (k, F) of each slot's query, its first decision repeated before the episode's beginning.

        Call once a decision, `chose` after it. Raises InvalidInputError for a slot without an episode or a number
        that is not finite; nothing is remembered then.
        """
        if not queries:
            return {}
        seen = self._see(list(queries.values()))
        frames = {slot: self._frame(slot, query, seen[row]) for row, (slot, query) in enumerate(queries.items())}
        return {slot: self._push(slot, queries[slot], frame) for slot, frame in frames.items()}

    def chose(self, slot: int, speed: float) -> None:
        """The ceiling that followed the last state of `slot`."""
        self._histories[slot].speed = speed

    def _push(self, slot: int, query: Query, frame: np.ndarray) -> np.ndarray:
        history = self._histories[slot]
        history.began_ns = query.request.stamp_ns if history.began_ns is None else history.began_ns
        history.requested = query.request.progress
        history.frames.append(frame)
        missing = self.config.k_stack - len(history.frames)
        return np.stack([history.frames[0]] * missing + list(history.frames))

    def _frame(self, slot: int, query: Query, seen: np.ndarray) -> np.ndarray:
        """(F,) float32 of one decision."""
        if slot not in self._histories:
            raise InvalidInputError(f"slot {slot} was not reset; reset: {sorted(self._histories) or 'none'}")
        history, state = self._histories[slot], query.observation.state
        parts = [(state.qpos - start_pose()) / JOINT_SCALE] if self.config.qpos else []
        parts += [state.qvel / VELOCITY_SCALE] if self.config.qvel else []
        parts += [self._markov(history, query)] if self.config.markov else []
        parts += [np.array([query.request.latency / LATENCY_SCALE])] if self.config.latency else []
        frame = np.concatenate([*parts, seen]).astype(np.float32)
        if not np.isfinite(frame).all():
            name = self.names[int(np.argmin(np.isfinite(frame)))]
            raise InvalidInputError(
                f"features of episode '{history.episode.id}', request {query.request.sequence}: {name} is not finite"
            )
        return frame

    def _markov(self, history: _History, query: Query) -> np.ndarray:
        """Executed speed, previous ceiling, progress, share of the chunk left, share of the time left."""
        request = query.request
        began = request.stamp_ns if history.began_ns is None else history.began_ns
        spent = (request.stamp_ns - began) / 1e9
        consumed = 0.0 if history.requested is None else request.progress - history.requested
        return np.array(
            [
                request.speed / SPEED_SCALE,
                history.speed / SPEED_SCALE,
                request.progress / PROGRESS_SCALE,
                1.0 - consumed / self._scale.chunk_length,
                1.0 - spent / self._scale.time_limit,
            ]
        )

    def _see(self, queries: Sequence[Query]) -> np.ndarray:
        """(B, F) of the images, F 0 without an encoder."""
        if self._encoder is None or self._encoded is None:
            return np.zeros((len(queries), 0))
        raw = np.asarray(self._encoder(queries), np.float64)
        expected = (len(queries), self._encoded.inputs)
        if raw.shape != expected:
            raise InvalidInputError(f"encoded images: expected shape {expected}, got {raw.shape}")
        return self._encoded(raw)
