"""Mean and spread per joint, so that a network sees every joint at the same scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.errors import DataError

# A joint that hardly moves is not blown up to full scale (https://github.com/tonyzhaozh/act, utils.py).
SMALLEST_SPREAD = 1e-2


@dataclass(frozen=True)
class Normaliser:
    """mean, std: (14,) of the demonstrations [rad; gripper 0 to 1]."""

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            value = np.asarray(getattr(self, name), np.float32)
            if value.shape != (NUM_JOINTS,) or not np.isfinite(value).all():
                raise DataError(f"normaliser {name}: expected {NUM_JOINTS} finite values, got shape {value.shape}")
            object.__setattr__(self, name, value)
        if (self.std <= 0.0).any():
            raise DataError(f"normaliser std: expected values above 0, got {self.std.min()}")

    @classmethod
    def fit(cls, values: np.ndarray) -> Normaliser:
        """From (N, 14) values."""
        values = np.asarray(values, np.float64)
        return cls(values.mean(0), np.maximum(values.std(0), SMALLEST_SPREAD))

    @classmethod
    def from_dict(cls, values: Mapping[str, list[float]]) -> Normaliser:
        missing = {"mean", "std"} - set(values)
        if missing:
            raise DataError(f"normaliser: expected mean and std, found {', '.join(values) or 'nothing'}")
        return cls(np.array(values["mean"]), np.array(values["std"]))

    def to_dict(self) -> dict[str, list[float]]:
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """(..., 14) in joint units to (..., 14) around 0, float32."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `normalise`, float32."""
        return (np.asarray(values, np.float32) * self.std + self.mean).astype(np.float32)
