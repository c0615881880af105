"""Images as one vector each, by a network that is not trained here: by default the task policy's own encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.types import Query

POOLINGS = ("mean", "keypoints")

# Images (B, ncam, H, W, 3) RGB, 0 to 255, to tokens (B, ncam * n, D), camera by camera, row by row.
See = Callable[[torch.Tensor], torch.Tensor]


class PooledTokens:
    """The images of queries to vectors (B, E), as FeatureStack takes them.

    cameras: (height, width) by name, in the order `see` was trained with. pooling: `mean` over all tokens, E = D; or
    for each camera and channel the place where it is strongest, as a softmax over places has it, E = 2 * D * ncam
    (Levine et al. 2016, https://arxiv.org/abs/1504.00702, section 5.1). Raises ConfigError.
    """

    def __init__(
        self, see: See, cameras: Mapping[str, tuple[int, int]], pooling: str = "mean", device: str = "cpu"
    ) -> None:
        if pooling not in POOLINGS:
            raise ConfigError(f"pooling: expected one of {', '.join(POOLINGS)}, got '{pooling}'")
        if not cameras:
            raise ConfigError("pooled tokens: expected at least one camera, got none")
        self._see = see
        self._cameras = dict(cameras)
        self._pooling = pooling
        self._device = device

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """(B, E) float32. Raises InvalidInputError for a missing or wrong image."""
        images = torch.from_numpy(np.stack([self._images(query) for query in queries])).to(self._device)
        with torch.inference_mode():
            tokens = self._see(images).float()
            pooled = tokens.mean(1) if self._pooling == "mean" else self._keypoints(tokens)
        return pooled.cpu().numpy()

    def _images(self, query: Query) -> np.ndarray:
        """(ncam, H, W, 3) uint8 of one query."""
        found = query.observation.images
        for camera, (height, width) in self._cameras.items():
            image = found.get(camera)
            if image is None or image.shape != (height, width, 3) or image.dtype != np.uint8:
                got = f"{image.shape} {image.dtype}" if image is not None else f"only {', '.join(found) or 'none'}"
                raise InvalidInputError(f"image '{camera}': expected ({height}, {width}, 3) uint8, got {got}")
        return np.stack([found[camera] for camera in self._cameras])

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
