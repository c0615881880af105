"""Records each demonstration of a running graph: a bag while it runs, an episode file once it has succeeded."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from speedtune_msgs.msg import EpisodeStatus
from speedtune_ros.config import option
from speedtune_ros.data.demonstration_folder import DemonstrationFolder
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.bag_tap import FLUSH_S, BagTap
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.services import Services
from speedtune_ros.nodes.spinner import Spinner

_NEEDED = {"teleop", "arm_driver"}
_POLL_S = 0.1
_LINGER_S = 0.3  # after the verdict: what was published before it is still under way
_LATE_S = 0.5  # a demonstration heard of so late has no beginning


@dataclass(frozen=True)
class DemoRecorderConfig:
    """How it records, and how patient it is."""

    jpeg_quality: int = option(95, "of images in bags", minimum=1, maximum=100)
    silence_s: float = option(5.0, "a demonstration of which so long nothing is heard is over", minimum=0.5, maximum=60)
    service_timeout_s: float = option(10.0, "longest wait for an answer", minimum=0.1, maximum=600.0)


class DemoRecorder(StageNode[DemoRecorderConfig]):
    """A node that is spun by a thread of its own; what it has to say it says to `say`, from any thread."""

    def __init__(self, folder: DemonstrationFolder, say: Callable[[str], None]) -> None:
        super().__init__("demo_recorder", DemoRecorderConfig)
        self._folder, self._say = folder, say
        self._tap: BagTap | None = None
        self._calls = Services(self)
        self._episode_id = ""  # that is recorded
        self._index = -1
        self._ended_at: float | None = None
        self._heard = 0.0
        self._ignored = ""
        self._mode = ("", "")  # of teleop, and why
        self._leaving = False
        self._finished: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._settle, name="episode files")
        self._worker.start()
        self._spinner = Spinner(self).start()

    def attach(self, cameras: Iterable[str] | None, timeout_s: float, alive: Callable[[], None]) -> list[str]:
        """Wait for the graph and record its `cameras`, by default all there are; which. Raises SpeedtuneError."""
        end = time.monotonic() + timeout_s
        while missing := _NEEDED - set(self.get_node_names()):
            if time.monotonic() > end:
                raise SpeedtuneError(f"no {' and '.join(sorted(missing))} within {timeout_s:.0f} s: is it running?")
            alive()
            time.sleep(_POLL_S)
        time.sleep(1.0 if cameras is None else 0.0)  # a node is seen a little before all of its topics
        wanted = self._cameras() if cameras is None else list(cameras)
        self._tap = BagTap(self, wanted, self.config.jpeg_quality, {"episode_status": self._follow})
        self.listen("/diagnostics", self._tell)
        self.every(_POLL_S, self._poll)
        self.every(FLUSH_S, self._tap.flush)
        return wanted

    def ask(self, service: str) -> str:
        """Call a Trigger service of the graph; what it answers. From any thread but the node's own."""
        answer = self._calls.call(Trigger, service, Trigger.Request())
        if answer is None:
            return f"{service} does not answer: is its node running?"
        return str(answer.message)

    def leave(self, timeout_s: float = 5.0) -> None:
        """Set aside a demonstration that is under way, and end it in the graph too."""
        interrupted, end = self._episode_id, time.monotonic() + timeout_s
        self._leaving = True
        while self._episode_id and time.monotonic() < end:
            time.sleep(_POLL_S)
        if interrupted:
            self._say(self.ask("teleop/discard"))

    def _cameras(self) -> list[str]:
        prefix, suffix = self.resolve_topic_name("camera") + "/", "/image_raw"
        names = [name for name, _ in self.get_topic_names_and_types()]
        images = [name for name in names if name.startswith(prefix) and name.endswith(suffix)]
        return sorted(name[len(prefix) : -len(suffix)] for name in images)

    def _follow(self, status: EpisodeStatus) -> None:
        """Called with each `episode_status` before it is written."""
        name = status.episode_id
        if self._tap is None:  # which is being made: it comes again
            return
        if name == self._episode_id and name:
            self._heard = time.monotonic()
            if status.phase == EpisodeStatus.ENDED and self._ended_at is None:
                self._ended_at = self._heard
        elif status.phase == EpisodeStatus.RUNNING and name != self._ignored and not self._leaving:
            self._close()
            self._begin(status, self._tap)

    def _begin(self, status: EpisodeStatus, tap: BagTap) -> None:
        if status.elapsed > _LATE_S:
            self._ignored = status.episode_id
            self._say(f"a demonstration has been running for {status.elapsed:.1f} s: not recorded; end it with discard")
            return
        self._index = self._folder.next_index()
        tap.open(self._folder.bag(self._index))
        self._episode_id, self._ended_at, self._heard = status.episode_id, None, time.monotonic()
        self._say(f"recording episode {self._index}")

    def _poll(self) -> None:
        if not self._episode_id:
            return
        now = time.monotonic()
        ended = self._ended_at is not None and now - self._ended_at > _LINGER_S
        if ended or self._leaving or now - self._heard > self.config.silence_s:
            self._close()

    def _tell(self, diagnostics: DiagnosticArray) -> None:
        """Say how the followers follow, when that changes."""
        for status in diagnostics.status:
            values = {value.key: value.value for value in status.values}
            mode = (values.get("mode", ""), values.get("reason", ""))
            if status.name.rpartition("/")[2] == "teleop" and mode != self._mode:
                self._mode = mode
                self._say(": ".join(filter(None, mode)))

    def _close(self) -> None:
        """End the bag that is open; what becomes of it is for another thread."""
        if self._episode_id and self._tap is not None:
            self._tap.close()
            self._episode_id = ""
            self._finished.put(self._index)

    def _settle(self) -> None:
        while (index := self._finished.get()) is not None:
            self._say(f"episode {index}: {self._folder.settle(index)}; {self._folder.kept()} kept")

    def close(self) -> None:
        """Stop listening, and return when every demonstration is kept, dropped or set aside."""
        self._spinner.close(10.0)
        self._close()
        self._finished.put(None)
        self._worker.join()


@contextmanager
def recording(folder: DemonstrationFolder, say: Callable[[str], None]) -> Iterator[DemoRecorder]:
    """A recorder in this process, which does not take its signals."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    recorder = DemoRecorder(folder, say)
    try:
        yield recorder
    finally:
        recorder.close()
        recorder.destroy_node()
        rclpy.try_shutdown()
