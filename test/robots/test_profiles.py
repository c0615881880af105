from __future__ import annotations

import mujoco
import numpy as np
import pytest

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.gripper import ALOHA_1_FOLLOWER
from speedtune_ros.robots.profiles import PROFILES, make_profile
from speedtune_ros.tasks.transfer_cube import TransferCube


def compiled(profile: str) -> mujoco.MjModel:
    spec = TransferCube().spec()
    make_profile(profile).apply(spec)
    return spec.compile()


def test_act_leaves_the_benchmark_alone() -> None:
    benchmark, act = TransferCube().spec().compile(), compiled("act")
    for field in ("dof_frictionloss", "dof_damping", "dof_armature", "actuator_gainprm", "actuator_forcerange"):
        np.testing.assert_array_equal(getattr(act, field), getattr(benchmark, field))
    assert np.isinf(make_profile("act").limits.velocity).all()


@pytest.mark.parametrize("side", ("left", "right"))
def test_identified_elbow_by_hand(side: str) -> None:
    model = compiled("identified")
    joint = model.joint(f"vx300s_{side}/elbow")
    assert (joint.damping[0], joint.armature[0], joint.frictionloss[0]) == (18.49, 0.383, 0.0)
    actuator = next(a for a in map(model.actuator, range(model.nu)) if a.trnid[0] == joint.id)
    assert (actuator.gainprm[0], actuator.biasprm[1]) == (227.0, -227.0)
    assert tuple(actuator.forcerange) == (-59.0, 59.0) and actuator.forcelimited[0]


def test_identified_has_no_dry_friction_in_the_arms() -> None:
    model = compiled("identified")
    assert model.dof_frictionloss[:16].max() == 0.0
    assert model.dof_frictionloss[16:].max() > 0.0  # the cube keeps the benchmark's


@pytest.mark.parametrize("name", PROFILES)
def test_limits_and_effort_have_14_joints(name: str) -> None:
    profile = make_profile(name)
    for array in (profile.limits.lower, profile.limits.upper, profile.limits.velocity, profile.effort):
        assert array.shape == (14,)
    assert profile.name == name and (profile.limits.lower < profile.limits.upper).all()


def test_hardware_limits_by_hand() -> None:
    profile = make_profile("hardware")
    np.testing.assert_allclose(profile.limits.velocity[:6], np.pi)
    assert profile.limits.velocity[6] == pytest.approx(1.0 / 0.03956)
    np.testing.assert_array_equal(profile.effort[7:], [10.0, 20.0, 15.0, 2.0, 5.0, 1.0, 5.0])
    assert profile.limits.lower[1] == -1.85005 and profile.limits.upper[1] == 1.25664


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="dynamics profile 'indentified'.*act, hardware, identified.*Did you"):
        make_profile("indentified")


def test_gripper_scale_by_hand() -> None:
    assert ALOHA_1_FOLLOWER.normalise(0.05800) == 1.0
    assert ALOHA_1_FOLLOWER.position(0.0) == 0.01844
    assert ALOHA_1_FOLLOWER.normalise(0.02239) == pytest.approx(0.00395 / 0.03956)
