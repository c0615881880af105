"""Labelled episodes on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.errors import CheckpointError, DataError
from speedtune_ros.live.journal import Journal, LabelledEpisode
from speedtune_ros.speed.decider import Decisions


def labelled(number: int) -> LabelledEpisode:
    rng = np.random.default_rng(number)
    decisions = Decisions(
        rng.standard_normal((3, 4)).astype(np.float32), rng.integers(5, size=3), np.array([0, 9, 2**62 + 1])
    )
    return LabelledEpisode(f"e{number}", 200_000_000 + number, decisions, rng.random(30), -0.25, 7)


def test_what_is_appended_is_read_back_to_the_bit(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append(labelled(number))
    again = list(Journal(tmp_path).read(1))
    assert len(Journal(tmp_path)) == 3 and len(again) == 2
    for number, found in enumerate(again, 1):
        expected = labelled(number)
        assert (found.name, found.seed, found.label, found.left) == (expected.name, expected.seed, -0.25, 7)
        np.testing.assert_array_equal(found.speeds, expected.speeds)
        for name in ("features", "actions", "stamps"):
            np.testing.assert_array_equal(getattr(found.decisions, name), getattr(expected.decisions, name))


def test_a_gap_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append(labelled(number))
    path = tmp_path / "000001.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(CheckpointError, match="000001"):
        list(Journal(tmp_path).read())
    path.unlink()
    with pytest.raises(DataError, match="without a gap"):
        Journal(tmp_path)
