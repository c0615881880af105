from __future__ import annotations

import argparse

import mujoco
import mujoco.rollout
import numpy as np
import pytest

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.evaluation import bench_rollout
from speedtune_ros.evaluation.bench_rollout import Pass
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode


def timed(start: float, end: float, planning: float = 0.0, steps: int = 100) -> Pass:
    return Pass(start, end, end - start, planning, steps)


def test_figures_of_two_cores_by_hand() -> None:
    passes = [
        {"floor": timed(10.0, 11.0), "rollout": timed(20.0, 21.5, planning=0.25)},
        {"floor": timed(10.1, 10.9), "rollout": timed(20.0, 21.2)},
    ]
    figures = bench_rollout._sample(passes)
    assert figures["ratio_to_floor"] == pytest.approx(1.25)
    assert figures["cpu_ratio_to_floor"] == pytest.approx((1.25 + 1.2) / 1.8)
    assert figures["control_steps_per_second"] == pytest.approx(200 / 1.25)
    assert figures["floor_us_per_step_and_core"] == pytest.approx(1e4)


def test_floor_runs_the_same_physics() -> None:
    simulation = Simulation(TransferCube())
    episode = Episode("", "transfer_cube", 3)
    simulation.reset(episode)
    commands = simulation.demonstration(episode)[:250]
    replay = bench_rollout._Replay(simulation, episode, commands)
    simulation.reset(episode)
    for command in commands:
        simulation.step(command)
    model = simulation.robot.model
    states, _ = mujoco.rollout.rollout(model, mujoco.MjData(model), replay.initial, replay.controls)
    np.testing.assert_allclose(states[0, -1], simulation.robot.snapshot(), atol=1e-6)


def test_bench_names_floor_and_peer_and_keeps_samples() -> None:
    parser = argparse.ArgumentParser()
    bench_rollout.configure(parser)
    result = bench_rollout.run(
        parser.parse_args(["--workers", "1", "--episodes", "1", "--slots", "1", "--repeats", "2"])
    )
    assert result["floor"] and result["peer"] and result["workers"] == 1
    assert len(result["samples"]) == 2
    assert 0.5 < result["ratio_to_floor"] < 10.0
    assert result.get("peer_us_per_step_and_core", 1.0) > 0.0  # dm-control is not on every Python


def test_unknown_names_are_refused_before_any_worker_starts() -> None:
    parser = argparse.ArgumentParser()
    bench_rollout.configure(parser)
    with pytest.raises(UnknownNameError, match="unknown task 'juggle'; available: .*transfer_cube"):
        bench_rollout.run(parser.parse_args(["--task=juggle"]))
