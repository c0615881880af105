from __future__ import annotations

import numpy as np
import pytest
import torch

from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.speed.vision import POOLINGS, PooledTokens
from speedtune_ros.types import InferenceRequest, Observation, Query, RobotState

torch.set_num_threads(1)
CAMERAS = {"top": (2, 4), "angle": (2, 4)}


def query(**images: np.ndarray) -> Query:
    return Query(Observation(RobotState(0, np.zeros(14), np.zeros(14)), images), InferenceRequest(0, 0))


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Each pixel a token: (B, ncam * H * W, 3)."""
    return images.flatten(1, 3).float()


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


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_task_policys_own_encoder(pooling: str) -> None:
    config = ActConfig(hidden=24, heads=2, stem_width=8, widths=(8,), encoder_layers=1, decoder_layers=1)
    network = ActNetwork(config, cameras=1).eval()
    encoder = PooledTokens(network.see, {"top": (16, 24)}, pooling)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), dtype=np.uint8)
    found = encoder([query(top=image) for image in images])
    assert found.shape == (3, 24 if pooling == "mean" else 48) and found.dtype == np.float32
    np.testing.assert_allclose(found[1:2], encoder([query(top=images[1])]), atol=1e-5)
    assert not np.allclose(found[0], found[1])


def test_wrong_images_and_poolings_are_refused() -> None:
    encoder = PooledTokens(pixels, CAMERAS)
    with pytest.raises(InvalidInputError, match=r"image 'angle': expected \(2, 4, 3\) uint8, got only top"):
        encoder([query(top=spot(0, 0))])
    with pytest.raises(InvalidInputError, match=r"image 'top': expected \(2, 4, 3\) uint8, got \(4, 2, 3\) uint8"):
        encoder([query(top=np.zeros((4, 2, 3), np.uint8), angle=spot(0, 0))])
    with pytest.raises(ConfigError, match="pooling: expected one of mean, keypoints, got 'max'"):
        PooledTokens(pixels, CAMERAS, "max")
    with pytest.raises(ConfigError, match="at least one camera, got none"):
        PooledTokens(pixels, {})
    with pytest.raises(ConfigError, match="keypoints: expected tokens on a grid of 2 to 4, got 7"):
        PooledTokens(lambda images: pixels(images)[:, :14], CAMERAS, "keypoints")(
            [query(top=spot(0, 0), angle=spot(0, 0))]
        )
