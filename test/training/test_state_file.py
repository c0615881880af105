"""Training states: what is written is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros.errors import CheckpointError
from speedtune_ros.training.state_file import read_tree, write_tree


def test_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tree = {
        "arrays": {"half": np.arange(6, dtype=np.float16).reshape(2, 3), "none": np.zeros((0, 2), np.int64)},
        "optimiser": {
            "state": {0: {"step": torch.tensor(3.0)}, 12: {"step": torch.tensor(4.0)}},
            "groups": [{"lr": 1e-4}],
        },
        "rng": rng.bit_generator.state,  # integers of 128 bits
        "name": "run",
        "count": 7,
    }
    write_tree(tmp_path / "state", tree)
    found = read_tree(tmp_path / "state")
    assert found["arrays"]["half"].dtype == np.float16
    np.testing.assert_array_equal(found["arrays"]["half"], tree["arrays"]["half"])
    assert found["arrays"]["none"].shape == (0, 2)
    assert [(key, float(value["step"])) for key, value in found["optimiser"]["state"].items()] == [(0, 3.0), (12, 4.0)]
    again = np.random.default_rng(0)
    again.bit_generator.state = found["rng"]
    assert again.random() == rng.random()
    assert (found["name"], found["count"], found["optimiser"]["groups"]) == ("run", 7, [{"lr": 1e-4}])
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_and_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="state: no training run to resume"):
        read_tree(tmp_path / "state")
    (tmp_path / "state").write_bytes(b"\x08\x00\x00\x00")
    with pytest.raises(CheckpointError, match="state: truncated, or no training state"):
        read_tree(tmp_path / "state")
