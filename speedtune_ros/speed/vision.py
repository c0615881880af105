"""Images as one vector each, by a network that is not trained here: the task policy's own encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.types import Query

POOLINGS = ("mean", "keypoints")
ENCODERS = ("task_policy", "own")

# The images of queries to tokens (B, ncam * n, D), camera by camera, row by row, as a task policy sees them.
See = Callable[[Sequence[Query]], torch.Tensor]


@dataclass(frozen=True)
class VisionConfig:
    """How images become a few numbers: by the task policy's encoder, as it is, or by one learned with the speeds."""

    encoder: str = option("task_policy", "whose image encoder, frozen, or an own one that learns", choices=ENCODERS)
    height: int = option(48, "of the images an own encoder sees [px]", minimum=1)
    pooling: str = option(
        "keypoints", "over the places of each map: its mean, or where it is strongest", choices=POOLINGS
    )
    size: int = option(32, "principal components of that which are kept", minimum=1)
    samples: int = option(256, "observations these are found from, before training", minimum=2)


class PooledTokens:
    """The images of queries to vectors (B, E), as FeatureStack takes them.

    see: which images and what it makes of them; cameras: (height, width) by name, in its order. pooling: `mean` over
    all tokens, E = D; or for each camera and channel the place where it is strongest, as a softmax over places has it,
    E = 2 * D * ncam (Levine et al. 2016, https://arxiv.org/abs/1504.00702, section 5.1). Raises ConfigError.
    """

    def __init__(self, see: See, cameras: Mapping[str, tuple[int, int]], pooling: str = "mean") -> None:
        if pooling not in POOLINGS:
            raise ConfigError(f"pooling: expected one of {', '.join(POOLINGS)}, got '{pooling}'")
        if not cameras:
            raise ConfigError("pooled tokens: expected at least one camera, got none")
        self._see = see
        self._cameras = dict(cameras)
        self._pooling = pooling

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """(B, E) float32. Raises InvalidInputError for a missing or wrong image."""
        with torch.inference_mode():
            tokens = self._see(queries).float()
            pooled = tokens.mean(1) if self._pooling == "mean" else self._keypoints(tokens)
        return pooled.cpu().numpy()

    def _keypoints(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, ncam * n, D) to expected row and column, each -1 to 1: (B, 2 * ncam * D)."""
        height, width = next(iter(self._cameras.values()))
        places = tokens.unflatten(1, (len(self._cameras), -1))  # (B, ncam, n, D)
        rows = max(round((places.shape[2] * height / width) ** 0.5), 1)
        if places.shape[2] % rows:
            raise ConfigError(f"keypoints: expected tokens on a grid of {height} to {width}, got {places.shape[2]}")
        columns = places.shape[2] // rows
        weights = torch.softmax(places, 2).unflatten(2, (rows, columns))  # (B, ncam, rows, columns, D)
        row = torch.einsum("bcijd,i->bcd", weights, torch.linspace(-1.0, 1.0, rows, device=tokens.device))
        column = torch.einsum("bcijd,j->bcd", weights, torch.linspace(-1.0, 1.0, columns, device=tokens.device))
        return torch.stack([row, column], 1).flatten(1)
