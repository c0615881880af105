"""Read noise of a camera's sensor, on images that are rendered without any."""

from __future__ import annotations

import itertools

import numpy as np

_PATTERNS = 7  # drawn once: drawing noise for every frame would cost more than rendering it


class SensorNoise:
    """Adds normal noise to images of one size, another pattern each time, so that no two frames are equal.

    shape: (H, W, 3); sigma: standard deviation [grey levels].
    """

    def __init__(self, shape: tuple[int, int, int], sigma: float, generator: np.random.Generator) -> None:
        drawn = [np.rint(sigma * generator.standard_normal(shape)).astype(np.int16) for _ in range(_PATTERNS)]
        self._patterns = itertools.cycle(drawn)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`image` (H, W, 3) uint8 as the sensor reads it."""
        return np.clip(image + next(self._patterns), 0, 255).astype(np.uint8)
