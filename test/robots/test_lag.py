from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.robots.lag import command_lag
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode


def wave(ticks: np.ndarray) -> np.ndarray:
    return np.sin(ticks[:, None] * 0.05 + np.arange(14))


@pytest.mark.parametrize("delay", (0, 3, 10))
def test_a_known_delay_is_found(delay: int) -> None:
    ticks = np.arange(300.0)
    assert command_lag(wave(ticks), wave(ticks - delay)) == pytest.approx(0.02 * delay, abs=4e-3)


def test_grippers_do_not_count() -> None:
    ticks = np.arange(300.0)
    states = wave(ticks - 5)
    states[:, [6, 13]] = 0.0
    assert command_lag(wave(ticks), states) == pytest.approx(0.1, abs=4e-3)


@pytest.mark.parametrize("profile", ("act", "identified", "hardware"))
def test_profiles_carry_the_measured_lag(profile: str) -> None:
    simulation = Simulation(TransferCube(), profile)
    lags = []
    for seed in range(3):
        episode = Episode("", "transfer_cube", seed)
        simulation.reset(episode)
        commands = simulation.demonstration(episode)
        states = []
        for command in commands:
            states.append(simulation.robot.state().qpos)
            simulation.step(command)
        lags.append(command_lag(commands, np.array(states)))
    assert make_profile(profile).lag == pytest.approx(np.mean(lags), abs=4e-3)
