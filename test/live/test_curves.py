"""What an operator watches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speedtune_ros.live.curves import running_mean, write_curves


def test_running_mean_by_hand() -> None:
    np.testing.assert_allclose(running_mean(np.array([1.0, 3.0, 5.0, 9.0]), 2), [1.0, 2.0, 4.0, 7.0])


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    lines = [{"decisions": 25 * i, "success": i % 2 == 0, "realised_speed": 1.5, "return": i} for i in range(30)]
    write_curves(lines, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
