"""The fault matrix: what can go wrong with the graph on real arms, how a bench causes it, and what is to be expected.

One table, `FAULTS`; docs/faults.md says the same in words. No ROS is imported.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.interbotix import FOLLOWERS

CAMERA = "camera_top"
STAGES = ("retimer", "task_policy", "speed_policy", "episode")
PROCESSES = ("arm_driver", *STAGES, CAMERA, "recorder", "xs_sim")


@dataclass(frozen=True)
class Inject:
    """Something breaks in a simulated arm, as robots/xs_faults.py has it."""

    arm: str
    fault: str
    joint: str = ""
    value: float = 0.0


@dataclass(frozen=True)
class Signal:
    """A process gets a signal: SIGKILL ends it, SIGSTOP freezes it until it is sent SIGCONT."""

    node: str
    number: signal.Signals


@dataclass(frozen=True)
class Ask:
    """Somebody asks for it: `stop`, `cancel`, `label` or `deactivate`."""

    what: str


@dataclass(frozen=True)
class Spoil:
    """A stand-in answers in place of a policy, well at first, then in the way `how` names."""

    stage: str
    how: str


@dataclass(frozen=True)
class Send:
    """A stranger sends the driver a trajectory that is bad in the way `how` names."""

    how: str


@dataclass(frozen=True)
class Show:
    """The camera's driver goes on badly: `same_image` or `same_stamp` from now on, or `nothing`."""

    how: str


Cause = Inject | Signal | Ask | Spoil | Send | Show


@dataclass(frozen=True)
class Expected:
    """driver: what it does: `moves`, `holds`, `stopped`, `fault`, `inactive`, or `dead` where it says nothing any more.

    says: the first word of what the driver names, or of a count that goes up in some node's diagnostics; ends: how the
    episode's reason begins, empty where nobody is left to give one; within_ms: from the fault to the last command that
    moves; None where the arms go on.
    """

    driver: str
    says: str
    ends: str
    within_ms: float | None

    def __str__(self) -> str:
        return outcome(self.driver, self.says, self.ends)


def outcome(driver: str, says: str, ends: str) -> str:
    """What a fault leads to, in one line."""
    named = f" ({says})" if says else ""
    return f"{driver}{named}; episode: {ends or 'no answer'}"


@dataclass(frozen=True)
class Fault:
    """One row. node: whose fault it is; arm: whose motion the fault waits for, empty for either; limit_s: of its
    episode."""

    name: str
    node: str
    cause: Cause
    expected: Expected
    arm: str = ""
    limit_s: float = 6.0


_RESTS_MS = 1600.0  # a chunk of 2 s at 2x, its request and its stop
_WATCHED_MS = 2500.0  # registers are read once a second, one motor after the other
_GONE_MS = 100.0  # without a beat, or without a joint state
_STALLED = "fault: no new trajectory"
_GOES_ON = Expected("moves", "", "time_limit", None)


def _starved(refused: str) -> Expected:
    """No new chunk: the arms play the last one to the stop at its end."""
    return Expected("holds", f"refused.{refused}", _STALLED, _RESTS_MS)


def _unmoved(refused: str) -> Expected:
    """Refused and counted, and nothing else."""
    return Expected("moves", f"refused.{refused}", "time_limit", None)


def _failed(name: str, within_ms: float) -> Expected:
    """An arm that cannot be trusted: hold, then a fault of this name."""
    return Expected("fault", name, f"fault: {name}", within_ms)


def _arm(arm: str) -> list[Fault]:
    """What an arm does by itself."""
    rows = (
        ("nan_read", "", 0.0, _failed("not_finite", 300.0)),
        ("pi_read", "", 0.0, _failed("failed_read", 300.0)),
        ("frozen", "", 0.0, _failed("frozen", 500.0)),
        ("silence", "", 0.0, _failed("bus_silence", 300.0)),
        ("hardware_error", "shoulder", 0.0, _failed("hardware_error", _WATCHED_MS)),
        ("overload", "elbow", 0.0, _failed("overload", _WATCHED_MS)),
        ("over_temperature", "elbow", 0.0, _failed("over_temperature", _WATCHED_MS)),
        # It falls behind its commands, and may be said to do so before its registers are read.
        ("torque_off", "", 0.0, Expected("fault", "torque_off", "fault: ", _WATCHED_MS)),
        ("gains", "elbow", 100.0, _GOES_ON),
        ("missing_service", "", 0.0, Expected("moves", "motors_unwatched", "time_limit", None)),
    )
    return [
        Fault(
            f"{fault} {arm}",
            "xs_sim",
            Inject(arm, fault, joint, value),
            expected,
            arm,
            8.0 if fault == "missing_service" else 6.0,
        )
        for fault, joint, value, expected in rows
    ]


def _process(node: str) -> list[Fault]:
    """A process that is killed, or hangs."""
    lost = {
        **{stage: Expected("holds", f"{stage} is gone", _STALLED, _GONE_MS) for stage in (*STAGES, CAMERA)},
        "episode": Expected("holds", "episode is gone", "", _GONE_MS),
        "arm_driver": Expected("dead", "", "fault: no driver status", 100.0),
        "xs_sim": _failed("bus_silence", _GONE_MS),
        "recorder": _GOES_ON,
    }[node]
    return [
        Fault(f"kill {node}", node, Signal(node, signal.SIGKILL), lost),
        Fault(f"hang {node}", node, Signal(node, signal.SIGSTOP), lost),
    ]


FAULTS: tuple[Fault, ...] = (
    *(fault for arm in FOLLOWERS for fault in _arm(arm)),
    # The one joint of the expert's motion that goes further than a tracking error may be. Its motor pushes meanwhile,
    # and may shut down for that first.
    Fault(
        "jam follower_right",
        "xs_sim",
        Inject("follower_right", "jam", "elbow"),
        Expected("fault", "follower_right", "fault: ", 4000.0),
        "follower_right",
    ),
    *(fault for node in PROCESSES for fault in _process(node)),
    Fault("operator stop", "episode", Ask("stop"), Expected("stopped", "", "stopped", 150.0)),
    Fault("cancelled goal", "episode", Ask("cancel"), Expected("holds", "", "cancelled", 250.0)),
    Fault("operator's verdict", "episode", Ask("label"), Expected("holds", "", "labelled -1", 250.0)),
    Fault("driver deactivated", "arm_driver", Ask("deactivate"), Expected("inactive", "", "fault: the driver", 150.0)),
    Fault("chunks with NaN", "task_policy", Spoil("task_policy", "nan"), _starved("not_finite")),
    Fault("chunks of 13 joints", "task_policy", Spoil("task_policy", "narrow"), _starved("wrong_dimension")),
    Fault("chunks too late", "task_policy", Spoil("task_policy", "late"), _starved("no_answer")),
    Fault("speeds of NaN", "speed_policy", Spoil("speed_policy", "nan"), _starved("bad_speed")),
    Fault("images all the same", CAMERA, Show("same_image"), _starved("stale_image")),
    Fault("stamps all the same", CAMERA, Show("same_stamp"), _starved("stale_image")),
    Fault("camera unplugged", CAMERA, Show("nothing"), _starved("stale_image")),
    Fault("trajectory with NaN", "retimer", Send("nan"), _unmoved("not_finite")),
    Fault("trajectory of another episode", "retimer", Send("foreign"), _unmoved("other_episode")),
    Fault("trajectory beyond limits", "retimer", Send("outside"), Expected("holds", "left_waist", _STALLED, 200.0)),
)


def chosen(names: Sequence[str]) -> tuple[Fault, ...]:
    """The rows of these names, all for none; a node or the first word of a name stands for its rows.

    Raises UnknownNameError.
    """
    rows: list[Fault] = []
    for name in names:
        found = [fault for fault in FAULTS if name in (fault.name, fault.node, fault.name.split()[0])]
        if not found:
            raise UnknownNameError("fault", name, [fault.name for fault in FAULTS])
        rows += [fault for fault in found if fault not in rows]
    return tuple(rows) or FAULTS
