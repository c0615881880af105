from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode

EPISODE = Episode("one", "transfer_cube", 1)


@pytest.fixture
def simulation() -> Simulation:
    simulation = Simulation(TransferCube(), "act", {"top": (48, 64)})
    simulation.reset(EPISODE)
    return simulation


def test_holding_the_initial_command_keeps_the_arms(simulation: Simulation) -> None:
    before = simulation.observe(images=False).state.qpos
    for _ in range(50):
        simulation.step(simulation.initial_command)
    assert np.abs(simulation.observe(images=False).state.qpos - before).max() < 0.03
    assert simulation.steps == 50 and simulation.now_ns == 1_000_000_000


def test_observation_carries_the_cameras_asked_for(simulation: Simulation) -> None:
    observation = simulation.observe()
    assert {name: image.shape for name, image in observation.images.items()} == {"top": (48, 64, 3)}
    assert simulation.observe(images=False).images == {}
    assert observation.stamp_ns == simulation.now_ns


def test_the_clock_goes_on_over_a_reset(simulation: Simulation) -> None:
    simulation.step(simulation.initial_command)
    simulation.reset(EPISODE, stamp_ns=simulation.now_ns)
    assert simulation.now_ns == 20_000_000 and simulation.steps == 0
    simulation.step(simulation.initial_command)
    assert simulation.now_ns == 40_000_000


def test_a_refused_command_moves_nothing(simulation: Simulation) -> None:
    before = simulation.robot.snapshot()
    with pytest.raises(InvalidInputError, match="command: expected shape"):
        simulation.step(np.zeros(3))
    np.testing.assert_array_equal(simulation.robot.snapshot(), before)
    assert simulation.steps == 0


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="dynamics profile 'fast'; available: act, hardware, identified"):
        Simulation(TransferCube(), "fast")
    with pytest.raises(UnknownNameError, match="unknown camera 'rear'; available: angle"):
        Simulation(TransferCube(), "act", {"rear": (96, 96)})


def test_simulation_does_not_import_the_benchmarks_environment() -> None:
    code = (
        "import sys; from speedtune_ros.simulation import Simulation; "
        "from speedtune_ros.tasks.transfer_cube import TransferCube; Simulation(TransferCube()); "
        "print([m for m in ('gym_aloha', 'dm_control', 'torch', 'rclpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.strip() == "[]", done.stderr
