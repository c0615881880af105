"""Lock-step: the simulation runs as fast as the stages answer, and waits for them where they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from speedtune_msgs.msg import EpisodeStatus, RetimeReport
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.driver_port import DriverPort

LOCKSTEP_PATIENCE = 10.0  # time-outs on a steady clock are so many times as long: nothing moves meanwhile
REPEAT_S = 0.5  # what was published is repeated this often while waiting: a stage may have joined late
_REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    """What the last report of an episode says: which observation, and when the retimer will ask next."""

    episode_id: str
    stamp_ns: int
    sequence: int
    refused: bool
    next_request_ns: int


class Lockstep:
    """Runs `tick` in its own thread while an episode runs or a move plays; otherwise the robot is paused.

    now_ns: stamp of the tick to come; announce(with_images): publish state (and images) without a tick.
    """

    def __init__(
        self,
        port: DriverPort,
        now_ns: Callable[[], int],
        announce: Callable[[bool], None],
        tick: Callable[[], None],
    ) -> None:
        self._port = port
        self._now_ns = now_ns
        self._announce = announce
        self._tick = tick
        self._answer: Answer | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lockstep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._port.changed:
            self._stopping = True
            self._port.changed.notify_all()
        self._thread.join(timeout=5.0)

    def hear(self, report: RetimeReport) -> None:
        with self._port.changed:
            refused = report.fallback_reason.startswith(_REFUSED)
            stamps = to_ns(report.header.stamp), to_ns(report.next_request)
            self._answer = Answer(report.episode_id, stamps[0], report.sequence, refused, stamps[1])
            self._port.changed.notify_all()

    def _run(self) -> None:
        with self._port.changed:
            while not self._stopping:
                if self._runs():
                    self._step()
                else:
                    self._announce(False)
                    self._port.changed.wait(REPEAT_S / 5)

    def _runs(self) -> bool:
        current = self._port.current
        moving = current.phase == EpisodeStatus.PREPARING and self._now_ns() < self._port.until_ns
        return current.phase == EpisodeStatus.RUNNING or moving

    def _step(self) -> None:
        stamp_ns = self._now_ns()
        if self._is_request(stamp_ns):
            self._announce(True)
            if not self._port.changed.wait_for(lambda: self._done_waiting(stamp_ns), REPEAT_S):
                return  # comes back here, and says it again
            if not self._answered(stamp_ns):
                return  # the episode ended, or another began, while we waited
        self._tick()

    def _done_waiting(self, stamp_ns: int) -> bool:
        return self._answered(stamp_ns) or not self._runs() or self._stopping or self._now_ns() != stamp_ns

    def _is_request(self, stamp_ns: int) -> bool:
        current, answer = self._port.current, self._answer
        if current.phase != EpisodeStatus.RUNNING:
            return False
        return answer is None or answer.episode_id != current.episode_id or stamp_ns >= answer.next_request_ns

    def _answered(self, stamp_ns: int) -> bool:
        """Whether the report on this observation is here, and the trajectory it speaks of."""
        current, answer = self._port.current, self._answer
        if answer is None or answer.episode_id != current.episode_id or answer.stamp_ns != stamp_ns:
            return False
        return answer.refused or current.sequence >= answer.sequence
