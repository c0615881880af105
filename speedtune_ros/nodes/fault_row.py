"""One row of the fault matrix: an episode, the fault during its motion, what was heard, and the way back."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from speedtune_msgs.msg import DriverStatus
from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.evaluation.fault_judgement import Observed, Record, Said, judge
from speedtune_ros.evaluation.fault_matrix import Ask, Fault, Inject, Send, Show, Signal, Spoil
from speedtune_ros.evaluation.fault_rig import IMAGES, RECORDER, FaultRig
from speedtune_ros.live.episode import EpisodeLimits
from speedtune_ros.nodes.camera_stand_in import CameraStandIn
from speedtune_ros.nodes.episode_client import EpisodeClient
from speedtune_ros.nodes.fault_injector import FaultInjector
from speedtune_ros.nodes.graph_monitor import GraphMonitor, Heard
from speedtune_ros.nodes.stand_in import StandIn
from speedtune_ros.robots.interbotix import FOLLOWERS, JOINTS

_TASK, _PROFILE = "transfer_cube", "hardware"
_HEARD = ("command", "driver_status", "/diagnostics")
_UP_S = 120.0  # for the whole graph, on a busy machine
_BACK_S = 60.0
_MOTION_S = 40.0  # a goal's move to the start and its first answer
_END_S = 60.0
_MOVES_RAD_S = 0.2  # an arm this fast moves
_AFTER_S = 0.5  # listened to after the episode's end
_UNANSWERED_S = 2.5  # the same where nobody is left to end it
_MATCHING_S = 1.0  # a server that has not found its client yet drops the answer
_CHECK_S = 2.0  # the episode after a fault


class FaultRow:
    """Runs one fault after the other on a rig whose processes are started. A context: the graph is up inside."""

    def __init__(self, rig: FaultRig, speed: float) -> None:
        self._rig, self._speed = rig, speed
        self._stack = ExitStack()
        self._handle: Any = None  # of the episode begun last

    def __enter__(self) -> FaultRow:
        stack = self._stack
        self._client = stack.enter_context(EpisodeClient(self._rig.check))
        states = [f"{arm}/joint_states" for arm in FOLLOWERS]
        self._monitor = stack.enter_context(GraphMonitor((), 1.0, _HEARD, states))
        self._camera = stack.enter_context(CameraStandIn(IMAGES))
        self._injector = FaultInjector(self._client)
        stack.callback(self._injector.close)
        self._client.wait_for_graph(self._rig.nodes, _UP_S)
        self._wait_for(self._rig.pids, _UP_S)
        self._injector.find()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def run(self, fault: Fault, bag: Path) -> tuple[Observed | None, bool, str]:
        """What happened, None if the fault could not be caused in motion; whether the arms move again after the way
        back; and what went wrong meanwhile, if anything."""
        observed, trouble = None, ""
        with ExitStack() as stack:
            try:
                spoiler = self._prepare(fault, bag, stack)
                observed = judge(self._cause(fault, spoiler), fault.expected)
            except SpeedtuneError as error:
                trouble = str(error)
        try:
            self._mend(fault)
            return observed, self._moves_again(), trouble
        except SpeedtuneError as error:
            return observed, False, f"{trouble}; {error}".lstrip("; ")

    def _prepare(self, fault: Fault, bag: Path, stack: ExitStack) -> StandIn | None:
        """A bag, and whoever stands in for the one that fails."""
        self._rig.record(bag)
        spoiler = None
        if isinstance(fault.cause, Spoil):
            self._rig.end(fault.cause.stage, _BACK_S)
            spoiler = stack.enter_context(StandIn(fault.cause.stage, _TASK, _PROFILE, self._speed))
        self._wait_for({RECORDER: self._rig.pids[RECORDER]}, _BACK_S)
        return spoiler

    def _cause(self, fault: Fault, spoiler: StandIn | None) -> Record:
        """Begin an episode, break something as soon as the arms move, and listen to the end."""
        counts, self._handle = self._counts(), None
        self._monitor.forget()
        handle = self._handle = self._client.start(1, "", _MOTION_S, limits=EpisodeLimits(fault.limit_s))
        self._wait_for_motion(handle, fault.arm)
        caused_ns = time.time_ns()
        self._break(fault, handle, spoiler)
        ends = ""
        if fault.expected.ends:
            ends = self._client.finish(handle, 1, "", _END_S).reason
            self._client.spin(_AFTER_S)
        else:
            self._client.spin(_UNANSWERED_S)
        heard, until_ns = self._monitor.heard, time.time_ns()
        self._client.spin(1.2)  # diagnostics come once a second
        return _record(heard, caused_ns, until_ns, self._counts() - counts, ends)

    def _wait_for_motion(self, handle: Any, arm: str) -> None:
        """Until the arm moves. Raises SpeedtuneError if it does not, with the reason if the episode ends first."""
        ended = handle.get_result_async()
        self._client.wait_until(lambda: ended.done() or self._moving(arm), "move its arms", _MOTION_S)
        if ended.done():
            raise SpeedtuneError(f"the episode ended before the fault: {ended.result().result.reason}")

    def _break(self, fault: Fault, handle: Any, spoiler: StandIn | None) -> None:
        cause = fault.cause
        if isinstance(cause, Inject):
            self._injector.inject(cause, active=True)
        elif isinstance(cause, Signal):
            self._rig.signal(cause.node, cause.number)
        elif isinstance(cause, Ask):
            self._injector.ask(cause, handle)
        elif isinstance(cause, Send):
            self._injector.send(cause, self._status())
        elif isinstance(cause, Show):
            self._camera.shows = cause.how
        elif spoiler is not None:
            spoiler.spoilt = cause.how

    def _mend(self, fault: Fault) -> None:
        """All of the graph as before, and the driver ready. Raises SpeedtuneError."""
        if isinstance(fault.cause, Inject):
            self._injector.inject(fault.cause, active=False)
        self._camera.shows = ""
        if mended := self._rig.mend():
            self._wait_for({name: self._rig.pids[name] for name in mended}, _BACK_S)
            self._client.spin(_MATCHING_S)
        if RECORDER in self._rig.nodes:
            self._rig.end(RECORDER, _BACK_S)
        if fault.cause == Signal("episode", signal.SIGSTOP) and self._handle is not None:
            self._client.finish(self._handle, 1, "", _END_S)  # it goes on, and ends what it had begun
        self._monitor.forget()
        self._client.wait_until(lambda: bool(self._monitor.heard.messages["driver_status"]), "say its status", _BACK_S)
        self._injector.recover(self._status())

    def _moves_again(self) -> bool:
        """Whether an episode runs its time after the way back; on a busy machine the second may be the first to."""
        for attempt in (1, 2):
            outcome = self._client.run(1, "", _END_S, limits=EpisodeLimits(_CHECK_S))
            if outcome.reason == "time_limit":
                break
            if attempt == 2:
                raise SpeedtuneError(f"the episode after it ended: {outcome.reason}")
            self._injector.recover(self._status())
        return True

    def _wait_for(self, processes: Mapping[str, int], timeout_s: float) -> None:
        """Until each of these processes, and none before it, has spoken. Raises SpeedtuneError."""

        def missing() -> list[str]:
            spoke = {(name, int(values["process_id"])) for name, values in _diagnostics(self._monitor.heard)}
            return [name for name, pid in processes.items() if (name, pid) not in spoke]

        self._client.wait_until(lambda: not missing(), f"bring back {', '.join(processes)}", timeout_s)

    def _status(self) -> DriverStatus:
        last = self._monitor.heard.last("driver_status")
        if not last:
            raise SpeedtuneError("the driver says nothing")
        return last[0]

    def _moving(self, arm: str) -> bool:
        """Whether the arm, or either of them, is sent on by the last commands of this episode."""
        heard = self._monitor.heard
        commands, status = heard.last("command", 2), heard.last("driver_status")
        if len(commands) < 2 or not status or status[0].state != DriverStatus.TRACKING or not status[0].progress:
            return False
        step = np.abs(np.subtract(commands[1].position, commands[0].position)).reshape(2, 7)[:, :6].max(axis=1)
        moving = dict(zip(FOLLOWERS, step / CONTROL_DT > _MOVES_RAD_S))
        return bool(moving[arm] if arm else any(moving.values()))

    def _counts(self) -> Counter[str]:
        """Refusals by name, of all nodes together, as last told."""
        latest = dict(_diagnostics(self._monitor.heard))
        return Counter(
            {
                key: sum(int(values.get(key, 0)) for values in latest.values())
                for values in latest.values()
                for key in values
                if key.startswith("refused.")
            }
        )


def _diagnostics(heard: Heard) -> list[tuple[str, dict[str, str]]]:
    """What nodes said about themselves, in order."""
    return [
        (status.name, {value.key: value.value for value in status.values})
        for _, message in heard.read("/diagnostics")
        for status in message.status
        if any(value.key == "process_id" for value in status.values)
    ]


def _record(heard: Heard, caused_ns: int, until_ns: int, counts: Counter[str], ends: str) -> Record:
    statuses = heard.read("driver_status")
    speeds = [
        (sent_ns, float(np.abs(message.velocity[: len(JOINTS) - 1]).max()))
        for arm in FOLLOWERS
        for sent_ns, message in heard.read(f"{arm}/joint_states")
    ]
    return Record(
        caused_ns,
        until_ns,
        [(sent_ns, np.array(message.position)) for sent_ns, message in heard.read("command")],
        [Said(sent_ns, message.state, tuple(message.faults)) for sent_ns, message in statuses],
        sorted(speeds),
        counts,
        frozenset(message.ceiling_reason for sent_ns, message in statuses if sent_ns > caused_ns),
        ends,
    )
