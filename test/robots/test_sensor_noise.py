"""No two frames of a still scene are equal, and their mean is the scene."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.robots.sensor_noise import SensorNoise


def test_a_still_scene_differs_from_frame_to_frame_by_as_much_as_asked() -> None:
    scene = np.full((48, 64, 3), 120, np.uint8)
    noise = SensorNoise(scene.shape, 2.0, np.random.default_rng(0))
    frames = [noise(scene) for _ in range(8)]
    assert all(frame.dtype == np.uint8 and frame.shape == scene.shape for frame in frames)
    assert not any(np.array_equal(one, other) for one, other in zip(frames, frames[1:]))
    assert frames[0].astype(float).std() == pytest.approx(2.0, rel=0.1)
    assert abs(frames[0].astype(float).mean() - 120.0) < 0.1
    assert (scene == 120).all()


def test_black_and_white_stay_in_range() -> None:
    for value in (0, 255):
        scene = np.full((8, 8, 3), value, np.uint8)
        frame = SensorNoise(scene.shape, 5.0, np.random.default_rng(1))(scene)
        assert abs(frame.astype(int) - value).max() < 30
