from __future__ import annotations

import mujoco
import numpy as np
import pytest

from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.scene import load_arms, set_free_body
from speedtune_ros.tasks.tea_bag import BAG_HALF, CUP, LENGTH, LINKS, STRING_HEADING, TAG_HALF, TeaBag
from speedtune_ros.types import Episode


def episode(seed: int) -> Episode:
    return Episode("", "tea_bag", seed)


def hang(model: mujoco.MjModel, data: mujoco.MjData, angle: float) -> None:
    """Turn the string's first joint so that the straight string is `angle` [rad] from the vertical."""
    half = (np.pi / 2 - angle) / 2
    address = model.joint("string-0").qposadr[0]
    data.qpos[address : address + 4] = [np.cos(half), 0.0, np.sin(half), 0.0]


def fixed_tag(x: float, y: float, z: float) -> mujoco.MjSpec:
    """The scene with the tag fixed in the air at (x, y, z) [m]."""
    spec = TeaBag().spec()
    spec.body("tag").pos = [x, y, z]
    spec.delete(spec.joint("tag_joint"))
    return spec


def released(angle: float, seconds: float) -> np.ndarray:
    """The angle [rad] at each physics step of a bag let go at `angle`, its tag fixed in the air clear of the arms."""
    model = fixed_tag(0.0, 0.8, 0.5).compile()
    data = mujoco.MjData(model)
    hang(model, data, angle)
    angles = []
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        x, y, z = data.body("bag").xpos - data.body("string-0").xpos
        angles.append(np.arctan2(x * np.cos(STRING_HEADING) + y * np.sin(STRING_HEADING), -z))
    return np.array(angles)


def with_bag_at(x: float, y: float, z: float) -> int:
    """The reward when the bag hangs straight down with its centre at (x, y, z) [m]."""
    task = TeaBag()
    model = task.spec().compile()
    data = mujoco.MjData(model)
    hang(model, data, 0.0)
    set_free_body(model, data, "tag_joint", np.array([x + TAG_HALF[0], y, z + LENGTH]))
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.body("bag").xpos, [x, y, z], atol=1e-9)
    return task.reward(model, data)


def lowered(speed: float, x: float, y: float) -> bool:
    """Whether the physics survive a bag that comes down at `speed` [m/s], (x, y) [m] off the cup's axis."""
    spec = fixed_tag(CUP[0] + TAG_HALF[0] + x, CUP[1] + y, LENGTH + 0.12)
    tag = spec.body("tag")
    tag.mass, tag.gravcomp = 100.0, 1.0  # nothing holds it up
    tag.add_joint(name="down", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, -1])
    model = spec.compile()
    data = mujoco.MjData(model)
    hang(model, data, 0.0)
    data.qvel[model.joint("down").dofadr[0]] = speed
    steps = round(0.12 / speed / model.opt.timestep)
    mujoco.mj_step(model, data, steps)
    return data.time == pytest.approx(steps * model.opt.timestep)  # else MuJoCo started the scene anew


def swing(speed: float, seed: int) -> float:
    """The largest angle [rad] of the bag in the half second after the expert reached the cup at `speed`."""
    simulation = Simulation(TeaBag())
    simulation.reset(episode(seed))
    plan = simulation.demonstration(episode(seed))
    angles = []
    for step in range(round(350 / speed) + 25):
        simulation.step(plan[round(min(step * speed, 350))])
        x, y, z = simulation.robot.data.body("bag").xpos - simulation.robot.data.body("string-0").xpos
        angles.append(np.arctan2(np.hypot(x, y), -z))
    return max(angles[-25:])


def test_tag_starts_near_its_centre_with_the_bag_aside() -> None:
    simulation = Simulation(TeaBag())
    tags, yaws, gaps = [], [], []
    for seed in range(200):
        simulation.reset(episode(seed))
        tag, bag = simulation.robot.data.body("tag"), simulation.robot.data.body("bag")
        tags.append(tag.xpos.copy())
        yaws.append(2 * np.arctan2(tag.xquat[3], tag.xquat[0]))
        gaps.append(np.hypot(*(bag.xpos - CUP)[:2]))
    np.testing.assert_allclose(np.min(tags, axis=0), [0.05, 0.45, TAG_HALF[2]], atol=2e-3)
    np.testing.assert_allclose(np.max(tags, axis=0), [0.15, 0.55, TAG_HALF[2]], atol=2e-3)
    np.testing.assert_allclose([min(yaws), max(yaws)], [-0.5, 0.5], atol=0.02)
    assert min(gaps) > 0.1  # the bag never starts at the cup


def test_objects_rest_where_they_start() -> None:
    simulation = Simulation(TeaBag())
    simulation.reset(episode(0))
    bodies = [simulation.robot.data.body(name) for name in ("tag", "bag")]
    before = [body.xpos.copy() for body in bodies]
    for _ in range(100):
        simulation.step(simulation.initial_command)
    for body, start in zip(bodies, before):
        np.testing.assert_allclose(body.xpos, start, atol=4e-3)
    assert np.abs(simulation.robot.data.qvel[16:22]).max() < 0.05


def test_the_arms_are_the_benchmarks() -> None:
    ours, benchmark = TeaBag().spec().compile(), load_arms().compile()
    for joint in (benchmark.joint(i).name for i in range(benchmark.njnt)):
        body, same = (model.body(int(model.joint(joint).bodyid[0])) for model in (ours, benchmark))
        assert body.mass == same.mass
        np.testing.assert_array_equal(body.inertia, same.inertia)
        np.testing.assert_array_equal(body.ipos, same.ipos)
    assert (ours.nu, ours.opt.timestep) == (benchmark.nu, 0.002)


def test_bag_swings_like_a_pendulum_of_the_strings_length() -> None:
    assert 0.16 <= LENGTH <= 0.2 and LINKS == 8
    angles = released(0.2, 6.0)
    crossings = np.flatnonzero((angles[:-1] > 0) & (angles[1:] <= 0))
    period = np.diff(crossings).mean() * 0.002
    assert period == pytest.approx(2 * np.pi * np.sqrt(LENGTH / 9.81), rel=0.05)
    peaks = [angles[i:j].max() for i, j in zip(crossings[:-1], crossings[1:])]
    decrement = np.log(peaks[0] / peaks[-1]) / (len(peaks) - 1)
    assert 0.0 < decrement / np.hypot(2 * np.pi, decrement) <= 0.05


@pytest.mark.parametrize(
    ("offset", "height", "reward"),
    [
        ((0.0, 0.0), 0.05, 3),
        ((0.0, 0.0), 0.0595, 3),  # just below the rim
        ((0.0, 0.0), 0.0605, 0),  # not quite
        ((0.019, 0.0), 0.05, 3),  # at the wall
        ((0.065, 0.0), 0.05, 0),  # beside the cup
    ],
)
def test_reward_of_the_bag_by_hand(offset: tuple[float, float], height: float, reward: int) -> None:
    assert BAG_HALF == 0.02
    assert with_bag_at(CUP[0] + offset[0], CUP[1] + offset[1], height) == reward


@pytest.mark.parametrize("speed", (0.3, 0.6, 1.0))
def test_a_bag_lowered_onto_the_cup_does_not_break_the_physics(speed: float) -> None:
    angles = np.arange(0.0, 2 * np.pi, 0.9)
    assert all(lowered(speed, r * np.cos(a), r * np.sin(a)) for r in (0.03, 0.042, 0.055) for a in angles)


@pytest.mark.parametrize("profile", ("act", "identified"))
def test_expert_keeps_the_demonstrated_pace(profile: str) -> None:
    simulation = Simulation(TeaBag(), profile)
    simulation.reset(episode(5))
    first: dict[int, int] = {}
    for command in simulation.demonstration(episode(5)):
        simulation.step(command)
        first.setdefault(simulation.reward, simulation.steps)
        if simulation.success:
            break
    assert 130 <= first[1] <= 170 and 170 <= first[2] <= 215
    assert 300 <= first[3] <= 420


def test_a_fast_carry_swings_the_bag_past_the_cup() -> None:
    assert swing(2.1, 3) > 1.5 * swing(1.0, 3)


@pytest.mark.slow
def test_expert_misses_at_a_constant_high_speed() -> None:
    simulation = Simulation(TeaBag())
    successes = 0
    for seed in range(50):
        simulation.reset(episode(seed))
        plan = simulation.demonstration(episode(seed))
        for step in range(simulation.task.episode_steps):
            at = min(step * 2.1, len(plan) - 1.0)
            low = plan[int(at)]
            simulation.step(low + (at - int(at)) * (plan[min(int(at) + 1, len(plan) - 1)] - low))
        successes += simulation.success
    assert successes <= 30
