"""The simulator node: offers what cameras and arm driver offer, with a scene, a clock and a reward."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rosgraph_msgs.msg import Clock

from speedtune_msgs.msg import EpisodeStatus, SimStatus
from speedtune_msgs.srv import SimReset, SimStep
from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS
from speedtune_ros.config import option
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.graph import camera
from speedtune_ros.nodes.cadence import Cadence, Pace
from speedtune_ros.nodes.conversions import to_stamp
from speedtune_ros.nodes.driver_port import DriverPort
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.lockstep import LOCKSTEP_PATIENCE, Lockstep
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.topics import image_topic
from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.driver import Driver
from speedtune_ros.robots.rendering import SceneRenderer
from speedtune_ros.types import Episode

_FULL_SIZE = (480, 640)  # of ALOHA's cameras
_FIRST_STAMP_NS = 1_000_000_000  # 0 would read as "no stamp"


@dataclass(frozen=True)
class SimConfig:
    """Which scene, and how its time runs."""

    task: str = option("transfer_cube", "the scene and its reward")
    profile: str = option("act", "dynamics profile of the arms", choices=("act", "identified", "hardware"))
    cameras: tuple[str, ...] = option(
        ("top:192x192",), "cameras to render, each name:HEIGHTxWIDTH or name (480x640); an empty text for none"
    )
    camera_rate_hz: float = option(30.0, "frames a second of each camera in real time", minimum=0.1, maximum=120.0)
    lockstep: bool = option(False, "wait for the stages at every request tick instead of running in real time")
    real_time_factor: float = option(1.0, "simulated seconds a second", minimum=0.01, maximum=20.0)
    episode_timeout_s: float = option(
        1.0,
        "a running episode holds if the episode node is silent so long; in lock-step ten times as long",
        minimum=0.3,
        maximum=60.0,
    )


class SimNode(StageNode[SimConfig]):
    """Ticks at 50 Hz of simulated time, from its own thread; episodes begin with `sim/reset`."""

    def __init__(self) -> None:
        super().__init__("sim", SimConfig)
        self._cameras = camera_sizes(self.config.cameras)
        self._simulation = make_simulation(self.config.task, self.config.profile, self._cameras)
        self._episode = Episode("", self.config.task)
        self._simulation.reset(self._episode, _FIRST_STAMP_NS)
        start = self._simulation.initial_command
        silence_s = self.config.episode_timeout_s * (LOCKSTEP_PATIENCE if self.config.lockstep else 1.0)
        self._port = DriverPort(self, Driver(self._simulation.limits, start, CONTROL_DT), start, silence_s)
        self._clock_out = self.publisher("/clock")
        self._status = self.publisher("sim_status")
        self._frames = {name: self.publisher("camera/<name>/image_raw", image_topic(name)) for name in self._cameras}
        self._frame_count = 0
        self._reset_to: tuple[str, int] | None = None  # episode and seed of the last reset
        self._reset_stamp = to_stamp(_FIRST_STAMP_NS)
        self._pace = Pace()
        self.create_service(SimReset, "sim/reset", self._reset)
        self.create_service(SimStep, "sim/step", self._step)
        self._start()

    def _start(self) -> None:
        factor = self.config.real_time_factor
        self._control: Cadence | Lockstep
        self._camera: Cadence | None = None
        if self.config.lockstep:
            tick = self.guarded(self._tick)
            self._control = Lockstep(self._port, lambda: self._simulation.now_ns, self._announce, tick)
            self.listen("retime_report", self._control.hear)
        else:
            self._control = Cadence(CONTROL_DT / factor, self.guarded(self._tick), "control")
            if self._cameras:
                self._renderer = SceneRenderer(self._simulation.robot.model, self._cameras)
                self._camera = Cadence(1.0 / (self.config.camera_rate_hz * factor), self.guarded(self._shoot), "camera")
                self._camera.start()
        self._control.start()

    def _tick(self) -> None:
        with self._port.lock:
            simulation = self._simulation
            state = simulation.observe(images=False).state
            missed = self._control.missed if isinstance(self._control, Cadence) else 0
            self._clock_out.publish(Clock(clock=to_stamp(state.stamp_ns)))
            self._port.publish_state(state)
            simulation.step(self._port.tick(state, missed))
            self._publish_status()

    def _announce(self, images: bool) -> None:
        with self._port.lock:
            observation = self._simulation.observe(images=images and bool(self._cameras))
            self._publish_frames(observation.images, observation.stamp_ns)
            self._clock_out.publish(Clock(clock=to_stamp(observation.stamp_ns)))
            self._port.announce(observation.state)

    def _shoot(self) -> None:
        with self._port.lock:
            stamp_ns, snapshot = self._simulation.now_ns, self._simulation.robot.snapshot()
        self._publish_frames(self._renderer.render(snapshot), stamp_ns)

    def _publish_frames(self, images: Mapping[str, np.ndarray], stamp_ns: int) -> None:
        for name, image in images.items():
            self._frames[name].publish(encode(image, stamp_ns, name))
            self._frame_count += 1

    def _publish_status(self) -> None:
        simulation = self._simulation
        message = SimStatus(
            episode_id=self._episode.id,
            task=self._episode.task,
            step=simulation.steps,
            reward=float(simulation.reward),
            max_reward=float(simulation.max_reward),
            success=bool(simulation.success),
            real_time_factor=self._pace.mark(simulation.now_ns, time.monotonic_ns()),
        )
        message.header.stamp = to_stamp(simulation.now_ns)
        self._status.publish(message)

    def _reset(self, request: SimReset.Request, response: SimReset.Response) -> SimReset.Response:
        if request.task not in ("", self.config.task):
            given = request.task
            response.message = f"this simulator runs '{self.config.task}': start it with task:={given}"
            return response
        if self._port.latched is not None:
            response.message = f"the driver is {self._port.latched.name.lower()}: clear it with driver/clear_stop first"
            return response
        if request.episode_id and (request.episode_id, request.seed) == self._reset_to:
            # A request that was sent again, as its answer took long: the episode may be running by now.
            response.stamp, response.success = self._reset_stamp, True
            return response
        try:
            with self._port.lock:
                self._episode = Episode(request.episode_id, self.config.task, request.seed)
                # Never back, and never the stamp of a state already seen.
                self._simulation.reset(self._episode, self._simulation.now_ns + CONTROL_DT_NS)
                state = self._simulation.observe(images=False).state
                self._port.restart(request.episode_id, self._simulation.initial_command, state.stamp_ns)
                self._publish_status()
                response.stamp = self._reset_stamp = to_stamp(state.stamp_ns)
                self._reset_to = (request.episode_id, request.seed)
                response.success = True
        except (SpeedtuneError, ValueError) as error:
            self.refuse(error)
            response.message = str(error)
        return response

    def _step(self, request: SimStep.Request, response: SimStep.Response) -> SimStep.Response:
        with self._port.lock:
            if not self.config.lockstep or self._port.current.phase == EpisodeStatus.RUNNING:
                response.message = "only a paused simulator steps: start it with lockstep:=true, between episodes"
                return response
            for _ in range(request.ticks):
                self._tick()
        response.success = True
        return response

    def diagnose(self) -> dict[str, object]:
        values: dict[str, object] = {"frames": self._frame_count}
        if isinstance(self._control, Cadence):
            late = self._control.take_lateness()
            values |= {"ticks": self._control.ticks, "missed_ticks": self._control.missed}
            values |= {"tick_lateness_ms": " ".join(f"{value:.3f}" for value in late)}
        if self._camera is not None:
            values["frames_late"] = self._camera.missed
        return values

    def close(self) -> None:
        self._control.stop()
        if self._camera is not None:
            self._camera.stop()
        self._simulation.close()


def camera_sizes(given: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(height, width) by camera name of texts such as top:96x96. Raises ConfigError."""
    return {name: size or _FULL_SIZE for name, size in map(camera, filter(None, given))}


def main() -> int:
    return run(SimNode)


if __name__ == "__main__":
    raise SystemExit(main())
