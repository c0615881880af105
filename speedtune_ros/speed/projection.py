"""Long vectors to short ones: the principal components of what an encoder gave, scaled to unit spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speedtune_ros.errors import InvalidInputError

# What hardly varies is not blown up to full scale: least spread that is scaled to 1, as a share of the largest.
SMALLEST = 1e-3


@dataclass(frozen=True)
class Projection:
    """x (N, E) to (x - mean) @ matrix (N, F): mean (E,), matrix (E, F)."""

    mean: np.ndarray
    matrix: np.ndarray

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.mean.shape != self.matrix.shape[:1]:
            raise InvalidInputError(
                f"projection: expected mean (E,) and matrix (E, F), got {self.mean.shape} and {self.matrix.shape}"
            )

    @property
    def inputs(self) -> int:
        """E, numbers that go in."""
        return self.matrix.shape[0]

    @property
    def size(self) -> int:
        """F, numbers that come out."""
        return self.matrix.shape[1]

    @classmethod
    def fit(cls, encoded: np.ndarray, size: int) -> Projection:
        """Onto the `size` directions in which samples (N, E) vary most; fewer where N or E is smaller.

        Raises InvalidInputError if they are not finite or none.
        """
        encoded = np.asarray(encoded, np.float64)
        if encoded.ndim != 2 or not len(encoded) or not np.isfinite(encoded).all():
            raise InvalidInputError(f"encoded images: expected finite numbers (N, E), got shape {encoded.shape}")
        mean = encoded.mean(0)
        _, spreads, axes = np.linalg.svd((encoded - mean) / np.sqrt(len(encoded)), full_matrices=False)
        # Which way an axis points is arbitrary: its largest entry is made positive.
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
        scale = np.maximum(spreads, max(SMALLEST * spreads[0], np.finfo(float).tiny))
        return cls(mean, (axes / scale[:, None])[:size].T)

    def __call__(self, encoded: np.ndarray) -> np.ndarray:
        return (encoded - self.mean) @ self.matrix


@dataclass(frozen=True)
class Unchanged:
    """In place of a projection: all `size` numbers as they are, pixels for instance."""

    size: int

    @property
    def inputs(self) -> int:
        return self.size

    def __call__(self, encoded: np.ndarray) -> np.ndarray:
        return encoded
