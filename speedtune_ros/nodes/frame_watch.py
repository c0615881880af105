"""Tells a camera that sees from one that repeats itself or says nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from speedtune_ros.nodes.newest import Frame


class Trouble(NamedTuple):
    """What is wrong with a camera: `silent`, `frozen_image` or `frozen_stamp`, and a sentence about it."""

    name: str
    text: str


class FrameWatch:
    """Judges every frame of one camera. `now` is a steady clock's time [s].

    A sensor has noise, so two frames that are equal in every pixel are one frame shown twice. Neither it nor a frame
    whose stamp does not advance is fresh, from the first repetition on: passed on, it would look young to a policy.

    frozen_s: nothing but repetitions for so long is a frozen camera [s]; silent_s: no frame at all is a silent one [s];
    content: whether equal images count as repetitions.
    """

    def __init__(self, frozen_s: float, silent_s: float, now: float, content: bool = True) -> None:
        self._frozen_s, self._silent_s, self._content = frozen_s, silent_s, content
        self._image: np.ndarray | None = None
        self._repeats = "image"  # or stamp: what was the same last
        self.repeated_images = self.repeated_stamps = 0
        self.restart(now)

    def restart(self, now: float) -> None:
        """The source was opened again. The last image stays: a camera that still shows it is as frozen as before."""
        self._stamp_ns: int | None = None
        self._heard = self._fresh = now

    def fresh(self, frame: Frame, now: float) -> bool:
        """Whether `frame` shows anything new."""
        self._heard = now
        if self._stamp_ns is not None and frame.stamp_ns <= self._stamp_ns:
            self.repeated_stamps += 1
            self._repeats = "stamp"
            return False
        if self._content and self._image is not None and np.array_equal(frame.image, self._image):
            self.repeated_images += 1
            self._repeats = "image"
            return False
        self._image, self._stamp_ns, self._fresh = frame.image, frame.stamp_ns, now
        return True

    def trouble(self, now: float) -> Trouble | None:
        """What is wrong with the camera now, if anything is."""
        silence, sameness = now - self._heard, now - self._fresh
        if silence > self._silent_s:
            return Trouble("silent", f"no frame for {silence:.1f} s")
        if sameness > self._frozen_s and self._heard > self._fresh:
            return Trouble(f"frozen_{self._repeats}", f"frozen: the same {self._repeats} for {sameness:.1f} s")
        return None

    def troubled_s(self, now: float) -> float:
        """How long nothing fresh has come [s]."""
        return now - self._fresh
