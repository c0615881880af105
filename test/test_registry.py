from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from speedtune_ros import registry
from speedtune_ros.aloha import CONTROL_DT, NUM_JOINTS
from speedtune_ros.errors import CheckpointError, ConfigError, InvalidInputError, UnknownNameError
from speedtune_ros.policies.policy import LOADERS
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.retimer import FACTORIES, Ceiling, Splice
from speedtune_ros.speed.speed_policy import FACTORIES as SPEED_POLICIES
from speedtune_ros.tasks.task import TASKS
from speedtune_ros.types import Chunk, InferenceRequest, Observation, Query, RobotState, TargetKind


def test_unknown_names_list_what_exists() -> None:
    for call, what, known in (
        (lambda: registry.make_task("cube"), "task", "transfer_cube"),
        (lambda: registry.make_policy("atc", "transfer_cube"), "policy", "act"),
        (lambda: registry.make_policy("act", "transfer_cube", "moon"), "dynamics profile", "identified"),
        (lambda: registry.make_speed_policy("steady:2"), "speed policy", "constant"),
        (lambda: registry.make_retimer("lineal"), "retimer", "linear"),
    ):
        with pytest.raises(UnknownNameError, match=f"unknown {what}.*available: .*{known}"):
            call()


def test_expert() -> None:
    policy = registry.make_policy("expert", "transfer_cube", "identified")
    assert (policy.info.task, policy.info.profile) == ("transfer_cube", "identified")
    assert registry.make_policy("expert", registry.make_task("transfer_cube")).info.profile == "act"


def test_speed_policy_argument() -> None:
    assert registry.make_speed_policy("constant:2.5").choose({}) == {}
    with pytest.raises(ConfigError, match="expected a number after 'constant:', got 'fast'"):
        registry.make_speed_policy("constant:fast")


@pytest.mark.parametrize("prefix", ["", "constant:"])
def test_a_plain_number_is_a_constant_speed(prefix: str) -> None:
    query = Query(Observation(RobotState(5, *np.zeros((2, NUM_JOINTS)))), InferenceRequest(0, 5, 0.0))
    choice = registry.make_speed_policy(f"{prefix}2.5").choose({0: query})[0]
    assert (choice.speed, choice.source) == (2.5, "constant:2.5")
    for bad in ("nan", "0", "-1", "inf"):
        with pytest.raises(InvalidInputError, match=f"speed: expected a finite number above 0, got {bad}"):
            registry.make_speed_policy(prefix + bad)


def test_a_checkpoint_that_is_not_shipped_names_those_that_are(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CHECKPOINTS", tmp_path)
    with pytest.raises(
        CheckpointError, match="'act' is shipped for task 'transfer_cube' and profile 'act'; shipped: none"
    ):
        registry.make_policy("act", "transfer_cube", "act")
    folder = tmp_path / "transfer_cube" / "identified" / "act"
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(CheckpointError, match="shipped: transfer_cube/identified/act"):
        registry.shipped_checkpoint("act", "transfer_cube", "act")
    assert registry.shipped_checkpoint("act", "transfer_cube", "identified") == folder


def test_a_checkpoint_of_another_task_or_profile_is_refused_with_both_names(tmp_path) -> None:
    from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint

    card = CheckpointCard("insertion", "identified", "act", "command", 100, 0.02, {"top": (96, 96)}, {}, {})
    write_checkpoint(tmp_path, card, {})
    with pytest.raises(CheckpointError, match="expected .* task 'transfer_cube', this one is of 'insertion'"):
        registry.make_policy(str(tmp_path), "transfer_cube", "identified")
    card = CheckpointCard("transfer_cube", "identified", "act", "command", 100, 0.02, {"top": (96, 96)}, {}, {})
    write_checkpoint(tmp_path, card, {})
    with pytest.raises(CheckpointError, match="expected .* profile 'act', this one is of 'identified'"):
        registry.make_policy(str(tmp_path), "transfer_cube", "act")
    card = CheckpointCard("transfer_cube", "act", "telepathy", "command", 100, 0.02, {}, {}, {})
    write_checkpoint(tmp_path, card, {})
    with pytest.raises(UnknownNameError, match="unknown policy 'telepathy'; available: act"):
        registry.make_policy(str(tmp_path), "transfer_cube", "act")


def test_every_entry_of_every_registry_can_be_imported() -> None:
    for entries in (TASKS, LOADERS, FACTORIES, SPEED_POLICIES):
        for name in entries:
            assert callable(registry._named("entry", name, entries))


def test_a_retimer_needs_neither_mujoco_nor_torch() -> None:
    code = (
        "import sys; from speedtune_ros.registry import make_retimer, make_speed_policy; make_retimer('linear'); "
        "make_speed_policy('constant:1'); assert not {'mujoco', 'torch', 'rclpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(FACTORIES))
@pytest.mark.parametrize("kind", list(TargetKind))
@pytest.mark.parametrize("limited", [False, True])
def test_retimer_contract(name: str, kind: TargetKind, limited: bool) -> None:
    """What every retimer owes: names itself, continues progress, ends at rest, is pure, keeps the ceiling."""
    rng = np.random.default_rng(0)
    velocity = np.full(NUM_JOINTS, np.pi) if limited else None
    retimer = registry.make_retimer(name, RetimerConfig(), velocity)
    assert retimer.name == name
    path = np.cumsum(rng.normal(0.0, 0.02, (100, NUM_JOINTS)), axis=0)
    chunk = Chunk(9, path, CONTROL_DT, kind)
    for speed in (0.5, 1.0, 2.5):
        splice = Splice(77, path[12] + 0.01, np.full(NUM_JOINTS, 0.1), speed, 4.0, 0.2, 0.05)
        first, second = (retimer.retime(chunk, splice, Ceiling(speed)) for _ in range(2))
        trajectory, report = first.trajectory, first.report
        assert report == second.report
        assert (trajectory.positions == second.trajectory.positions).all()
        assert (trajectory.start_ns, trajectory.chunk_stamp_ns, report.stamp_ns, report.mode) == (77, 9, 9, name)
        assert trajectory.progress[0] == 4.0
        assert (trajectory.speeds <= speed * (1 + 1e-9)).all() and report.peak_speed <= speed
        assert trajectory.speeds[-1] == 0.0 and (trajectory.velocities[-1] == 0.0).all()
        assert 0.0 < retimer.brake_distance(speed) < 0.5 * speed
        if limited:
            assert (np.abs(trajectory.velocities) <= np.pi * (1 + 1e-9)).all()
