from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.retiming.ensemble import TemporalEnsemble
from speedtune_ros.types import Chunk, TargetKind

DT = 0.02


def flat(value: float, k: int = 10, n: int = 1, kind: TargetKind = TargetKind.COMMAND) -> Chunk:
    return Chunk(0, np.full((n, k, NUM_JOINTS), value), DT, kind)


def test_the_first_chunk_is_itself() -> None:
    chunk = Chunk(3, np.random.default_rng(0).normal(size=(10, NUM_JOINTS)), DT)
    blended = TemporalEnsemble().blend(chunk, 0.0)
    assert blended.targets == pytest.approx(chunk.targets, abs=1e-6)
    assert blended.stamp_ns == 3


def test_weights_favour_the_oldest() -> None:
    """Two chunks 5 steps apart: exp(0) for the old, exp(-m) for the new where both speak; alone after that."""
    ensemble = TemporalEnsemble(weight=0.5)
    ensemble.blend(flat(0.0), 0.0)
    blended = ensemble.blend(flat(1.0), 0.1).targets[0, :, 0]
    share = np.exp(-0.5) / (1.0 + np.exp(-0.5))
    assert blended == pytest.approx([share] * 5 + [1.0] * 5)


def test_three_chunks_by_hand() -> None:
    ensemble = TemporalEnsemble(weight=0.01)
    for value, progress in ((0.0, 0.0), (3.0, 0.04)):
        ensemble.blend(flat(value), progress)
    blended = ensemble.blend(flat(6.0), 0.08).targets[0, :, 0]
    weights = np.exp(-0.01 * np.arange(3))
    assert blended[0] == pytest.approx(weights @ [0.0, 3.0, 6.0] / weights.sum())
    assert blended[6] == pytest.approx(weights[:2] @ [3.0, 6.0] / weights[:2].sum())  # the oldest ended, m starts anew
    assert blended[8] == pytest.approx(6.0)


def test_chunks_that_agree_are_left_alone_whatever_the_offset() -> None:
    def line(start: float) -> Chunk:
        return Chunk(0, np.repeat((start + DT * np.arange(50))[:, None], NUM_JOINTS, axis=1), DT)

    ensemble = TemporalEnsemble()
    for progress in (0.0, 0.113, 0.2, 0.4567):
        chunk = line(progress)
        assert ensemble.blend(chunk, progress).targets == pytest.approx(chunk.targets, abs=1e-6)


def test_states_are_aligned_by_their_own_knots() -> None:
    ensemble = TemporalEnsemble(weight=0.0)
    ensemble.blend(flat(0.0, kind=TargetKind.STATE), 0.0)
    blended = ensemble.blend(flat(1.0, kind=TargetKind.STATE), 0.1).targets[0, :, 0]
    assert blended == pytest.approx([0.5] * 5 + [1.0] * 5)


def test_chunks_that_ended_are_forgotten() -> None:
    ensemble = TemporalEnsemble()
    ensemble.blend(flat(0.0), 0.0)
    assert (ensemble.blend(flat(1.0), 0.5).targets == 1.0).all()
    ensemble.reset()
    assert (ensemble.blend(flat(2.0), 0.5).targets == 2.0).all()


def test_capacity() -> None:
    ensemble = TemporalEnsemble(weight=0.0, capacity=2)
    for value in (0.0, 2.0):
        ensemble.blend(flat(value), 0.0)
    assert ensemble.blend(flat(4.0), 0.0).targets[0, 0, 0] == pytest.approx(3.0)


def test_only_the_first_candidate_is_blended() -> None:
    ensemble = TemporalEnsemble(weight=0.0)
    ensemble.blend(flat(0.0), 0.0)
    blended = ensemble.blend(flat(1.0, n=3), 0.0)
    assert blended.targets[:, 0, 0] == pytest.approx([0.5, 1.0, 1.0])


def test_a_chunk_counts_up_to_its_very_last_target() -> None:
    ensemble = TemporalEnsemble(weight=0.0)
    ensemble.blend(flat(0.0), 0.0)
    blended = ensemble.blend(flat(1.0), 9 * DT).targets[0, :, 0]
    assert blended == pytest.approx([0.5] + [1.0] * 9)


def test_states_that_agree_are_left_alone() -> None:
    def line(start: float) -> Chunk:
        path = np.repeat((start + DT * np.arange(1, 51))[:, None], NUM_JOINTS, axis=1)
        return Chunk(0, path, DT, TargetKind.STATE)

    ensemble = TemporalEnsemble()
    for progress in (0.0, 0.113, 0.2):
        chunk = line(progress)
        assert ensemble.blend(chunk, progress).targets == pytest.approx(chunk.targets, abs=1e-6)


def test_the_default_weight_is_acts() -> None:
    ensemble = TemporalEnsemble()
    ensemble.blend(flat(0.0), 0.0)
    share = np.exp(-0.01) / (1.0 + np.exp(-0.01))
    assert ensemble.blend(flat(1.0), 0.0).targets[0, 0, 0] == pytest.approx(share)
