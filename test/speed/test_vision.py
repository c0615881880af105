from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from speedtune_ros.errors import ConfigError
from speedtune_ros.speed.vision import PooledTokens
from speedtune_ros.types import InferenceRequest, Observation, Query, RobotState

torch.set_num_threads(1)
CAMERAS = {"top": (2, 4), "angle": (2, 4)}


def query(**images: np.ndarray) -> Query:
    return Query(Observation(RobotState(0, np.zeros(14), np.zeros(14)), images), InferenceRequest(0, 0))


def pixels(queries: Sequence[Query]) -> torch.Tensor:
    """Each pixel a token: (B, ncam * H * W, 3)."""
    images = np.stack([[query.observation.images[camera] for camera in CAMERAS] for query in queries])
    return torch.from_numpy(images).flatten(1, 3).float()


def spot(row: int, column: int) -> np.ndarray:
    """A white pixel in a black image."""
    image = np.zeros((2, 4, 3), np.uint8)
    image[row, column] = 255
    return image


def test_means_by_hand_and_in_the_order_of_cameras() -> None:
    encoder = PooledTokens(pixels, CAMERAS)
    found = encoder(
        [query(angle=spot(1, 1), top=spot(0, 0)), query(top=spot(0, 0), angle=np.zeros((2, 4, 3), np.uint8))]
    )
    np.testing.assert_allclose(found, [[2 * 255 / 16] * 3, [255 / 16] * 3])


def test_keypoints_by_hand() -> None:
    found = PooledTokens(pixels, CAMERAS, "keypoints")([query(top=spot(0, 3), angle=spot(1, 0))])
    rows, columns = found.reshape(2, 2, 3)
    np.testing.assert_allclose(rows, [[-1.0] * 3, [1.0] * 3], atol=1e-6)
    np.testing.assert_allclose(columns, [[1.0] * 3, [-1.0] * 3], atol=1e-6)


def test_wrong_ones_are_refused() -> None:
    with pytest.raises(ConfigError, match="pooling: expected one of mean, keypoints, got 'max'"):
        PooledTokens(pixels, CAMERAS, "max")
    with pytest.raises(ConfigError, match="at least one camera, got none"):
        PooledTokens(pixels, {})
    with pytest.raises(ConfigError, match="keypoints: expected tokens on a grid of 2 to 4, got 7"):
        PooledTokens(lambda queries: pixels(queries)[:, :14], CAMERAS, "keypoints")(
            [query(top=spot(0, 0), angle=spot(0, 0))]
        )
