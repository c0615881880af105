"""A bag's episode as rows of a dataset, one a control tick: what was known then, and what was commanded on it.

Each row holds the newest state and images whose stamps are not younger than the tick: never from the future.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.data.bag_series import EpisodeSeries, Frame, Tick
from speedtune_ros.errors import DataError


@dataclass(frozen=True)
class Lag:
    """How old a topic's newest message was on the rows [s], and how long its messages were under way [s]."""

    topic: str
    age_p50: float
    age_p99: float
    age_max: float
    delivery_p50: float
    delivery_p99: float


class Film:
    """One camera's images on the rows, (T, H, W, 3) uint8 RGB, decoded one by one as they are asked for.

    All cameras of a long episode at once would be gigabytes.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self.shape = (len(frames), *frames[0].pixels.shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        last: Frame | None = None
        for frame in self._frames:
            if last is None or frame.stamp_ns != last.stamp_ns:  # one seen on several rows is decoded once
                last, pixels = frame, frame.pixels
            yield pixels


@dataclass(frozen=True)
class Rows:
    """T rows. stamps (T,) [ns]; qpos, qvel, action (T, 14); images by camera: the frame of each row; lags by topic.

    dropped: ticks at the begin that came before the first state or image.
    """

    series: EpisodeSeries
    stamps: np.ndarray
    qpos: np.ndarray
    qvel: np.ndarray
    action: np.ndarray
    images: Mapping[str, tuple[Frame, ...]]
    lags: tuple[Lag, ...]
    dropped: int

    def film(self, camera: str) -> Film:
        return Film(self.images[camera])

    def pixels(self, camera: str) -> np.ndarray:
        """(T, H, W, 3) uint8 RGB."""
        return np.stack(list(self.film(camera)))


def rows_of_series(series: EpisodeSeries, cameras: Sequence[str] | None = None) -> Rows:
    """The rows of an episode with images of `cameras` (all by default). Raises DataError if there are none."""
    wanted = list(series.cameras if cameras is None else cameras)
    if missing := [camera for camera in wanted if camera not in series.images]:
        raise DataError(f"camera '{missing[0]}' is not in the bag; it has {', '.join(series.cameras) or 'none'}")
    rows = []
    ticks = control_ticks(series.ticks)
    for tick in ticks:
        state = series.state_at(tick.stamp_ns)
        frames = [series.frame_at(camera, tick.stamp_ns) for camera in wanted]
        if state is not None and all(frame is not None for frame in frames):
            rows.append((tick, state, frames))
    if not rows:
        raise DataError(f"episode '{series.info.id}': no tick with a joint state and an image of each camera before it")
    stamps = np.array([tick.stamp_ns for tick, _, _ in rows], np.int64)
    images = {camera: tuple(frames[i] for _, _, frames in rows) for i, camera in enumerate(wanted)}
    return Rows(
        series,
        stamps,
        np.array([state.qpos for _, state, _ in rows]),
        np.array([state.qvel for _, state, _ in rows]),
        np.array([tick.command for tick, _, _ in rows]),
        images,  # type: ignore[arg-type]  # None was filtered
        (_state_lag(series, stamps), *(_image_lag(camera, images[camera], stamps) for camera in wanted)),
        len(ticks) - len(rows),
    )


def control_ticks(ticks: Sequence[Tick]) -> list[Tick]:
    """One tick for each 20 ms since the first: the newest that began no later than half of that after its time.

    So rows are at 50 Hz whatever the driver's own rate, and a tick that it missed repeats what was in force.
    """
    if not ticks:
        return []
    stamps = np.array([tick.stamp_ns for tick in ticks], np.int64)
    count = round((int(stamps[-1]) - int(stamps[0])) / CONTROL_DT_NS) + 1
    times = stamps[0] + CONTROL_DT_NS * np.arange(count, dtype=np.int64) + CONTROL_DT_NS // 2
    return [ticks[i] for i in np.searchsorted(stamps, times, side="right") - 1]


def _state_lag(series: EpisodeSeries, stamps: np.ndarray) -> Lag:
    newest = np.array(series.state_stamps, np.int64)
    ages = stamps - newest[np.searchsorted(newest, stamps, side="right") - 1]
    return _lag("joint_states", ages, [times.log_ns - times.publish_ns for times in series.state_times])


def _image_lag(camera: str, frames: Sequence[Frame | None], stamps: np.ndarray) -> Lag:
    known = [frame for frame in frames if frame is not None]
    ages = stamps - np.array([frame.stamp_ns for frame in known], np.int64)
    delivery = [frame.times.log_ns - frame.times.publish_ns for frame in {f.stamp_ns: f for f in known}.values()]
    return _lag(f"camera {camera}", ages, delivery)


def _lag(topic: str, ages_ns: np.ndarray, delivery_ns: Sequence[int]) -> Lag:
    age, under_way = ages_ns * 1e-9, np.asarray(delivery_ns, float) * 1e-9
    p50, p99 = np.percentile(age, (50, 99))
    slow50, slow99 = np.percentile(under_way, (50, 99))
    return Lag(topic, float(p50), float(p99), float(age.max()), float(slow50), float(slow99))


def lag_text(lags: Sequence[Lag]) -> str:
    """The per-topic report [ms]."""
    lines = [f"  {'topic':<22}{'age p50':>9}{'p99':>8}{'max':>8}   {'delivery p50':>12}{'p99':>8}   [ms]"]
    for lag in lags:
        ages = f"{1e3 * lag.age_p50:>9.1f}{1e3 * lag.age_p99:>8.1f}{1e3 * lag.age_max:>8.1f}"
        lines.append(f"  {lag.topic:<22}{ages}   {1e3 * lag.delivery_p50:>12.1f}{1e3 * lag.delivery_p99:>8.1f}")
    return "\n".join(lines)
