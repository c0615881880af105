"""The inference bench on a checkpoint a few tokens wide."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.evaluation import bench_inference
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint

CONFIG = ActConfig(horizon=8, hidden=24, feedforward=32, heads=2, latent=4, stem_width=8, widths=(8,))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    stats = {"mean": [0.0] * 14, "std": [1.0] * 14}
    norms = {"states": stats, "targets": stats}
    card = CheckpointCard("transfer_cube", "act", "act", "command", 8, 0.02, {"top": (16, 16)}, norms, asdict(CONFIG))
    write_checkpoint(tmp_path, card, ActNetwork(CONFIG).state_dict())
    return tmp_path


def test_it_reports_figures_floor_peer_and_samples(checkpoint: Path) -> None:
    parser = argparse.ArgumentParser()
    bench_inference.configure(parser)
    typed = ["--policy", str(checkpoint), "--repetitions", "5", "--slots", "2", "--candidates", "3"]
    result = bench_inference.run(parser.parse_args(typed))
    assert len(result["samples"]["inference_ms"]) == 5
    assert result["inference_ms_median"] == pytest.approx(np.median(result["samples"]["inference_ms"]), abs=1e-3)
    assert 0.0 < result["inference_ms_median"] <= result["inference_ms_p99"]
    assert {"floor", "peer", "floor_ms_median", "peer_ms_median"} <= set(result)


def test_operations_are_counted() -> None:
    import torch

    one, other = torch.zeros(3, 5), torch.zeros(5, 7)
    assert bench_inference.count_operations(lambda: one @ other) == 2 * 3 * 5 * 7
