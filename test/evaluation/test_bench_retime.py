from __future__ import annotations

import argparse

import numpy as np
import pytest

from speedtune_ros.evaluation import bench_retime
from speedtune_ros.retiming.linear import interpolate


def test_figures_follow_from_the_raw_samples() -> None:
    parser = argparse.ArgumentParser()
    bench_retime.configure(parser)
    figures = bench_retime.run(parser.parse_args(["--repetitions", "20"]))
    assert figures["floor"] and figures["peer"]
    for name in ("retime", "floor", "peer"):
        samples = figures["samples"][f"{name}_ms"]
        assert len(samples) == 20
        assert figures[f"{name}_ms_median"] == pytest.approx(np.median(samples), abs=1e-5)
    assert figures["retime_ms_p99"] >= figures["retime_ms_median"]


def test_the_peer_does_the_same_interpolation() -> None:
    chunk, _ = bench_retime.example(np.random.default_rng(0), 3.0)
    assert bench_retime.interp(chunk.targets[0], 3.0) == pytest.approx(interpolate(chunk.targets[0], 3.0, chunk.dt))
