"""A whole ALOHA that is not there: four Interbotix arms on the wire, MuJoCo behind the followers."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from speedtune_msgs.srv import InjectFault
from speedtune_ros.bringup import realsense_topic
from speedtune_ros.config import option
from speedtune_ros.errors import SpeedtuneError, UnknownNameError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.sim import camera_sizes
from speedtune_ros.nodes.topics import image_topic
from speedtune_ros.nodes.xs_arm import BusConfig, XsArm
from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.gripper import FOLLOWER_GRIPPERS, LEADER_GRIPPERS, FingerRange, Linkage, follower_gripper
from speedtune_ros.robots.interbotix import FOLLOWERS, LEADERS, POSITION_UNIT, SLEEP
from speedtune_ros.robots.profiles import LOWER, UPPER
from speedtune_ros.robots.rendering import SceneRenderer
from speedtune_ros.robots.sensor_noise import SensorNoise
from speedtune_ros.robots.xs_faults import FAULTS
from speedtune_ros.robots.xs_heat import HeatConfig
from speedtune_ros.robots.xs_motors import SimulatedMotors
from speedtune_ros.robots.xs_plant import BuildConfig, FollowerPlant, LeaderPlant
from speedtune_ros.types import Episode, checked

_DT = 0.01  # [s], between joint states
_MOST_STEPS = 50  # at once; a longer stop is one of time itself
_LEADER_MODES = ("pwm", "current_based_position")


@dataclass(frozen=True)
class XsSimConfig:
    """Which arms, in which scene, and what their motors are like."""

    task: str = option("transfer_cube", "the scene around the followers")
    seed: int = option(0, "of the scene", minimum=0)
    cameras: tuple[str, ...] = option(
        ("",), "cameras to render, each name:HEIGHTxWIDTH or name (480x640); an empty text for none"
    )
    camera_driver: str = option(
        "simulated",
        "simulated publishes frames as camera nodes do; realsense as realsense2_camera does, for camera nodes to take",
        choices=("simulated", "realsense"),
    )
    camera_noise: float = option(
        1.0, "read noise of realsense's sensors: without it a still scene is a frozen camera", minimum=0.0, maximum=50.0
    )
    camera_rate_hz: float = option(30.0, "frames a second of each camera", minimum=0.1, maximum=120.0)
    camera_delay_s: float = option(0.0, "from what a camera sees to its frame", minimum=0.0, maximum=2.0)
    gripper: str = option("aloha_1", "the grippers mounted", choices=tuple(FOLLOWER_GRIPPERS))
    leaders: bool = option(True, "the leader arms too, without torque")
    sleep_rad: tuple[float, ...] = option(SLEEP, "the six joints of an arm at rest, where it starts")
    torque: bool = option(True, "the followers hold when it starts, as Interbotix's bring-up leaves them")
    arm_mode: str = option("position", "operating mode of the followers' joints when it starts")
    gripper_mode: str = option("current_based_position", "operating mode of their grippers")
    ambient_c: float = option(25.0, "temperature of the room [deg C]", minimum=-20.0, maximum=60.0)
    heat_rise: float = option(30.0, "a motor's rise under one ampere held for ever [K]", minimum=0.0, maximum=1000.0)
    heat_time_s: float = option(600.0, "time constant of that rise [s]", minimum=0.1, maximum=10000.0)
    bus: BusConfig = field(default_factory=BusConfig)
    build: BuildConfig = field(default_factory=BuildConfig)

    def __post_init__(self) -> None:
        checked("sleep_rad", self.sleep_rad, (len(SLEEP),))


class XsSimNode(StageNode[XsSimConfig]):
    """Steps the mechanics at 100 Hz from its own thread and lets every arm publish; faults come by service."""

    def __init__(self) -> None:
        super().__init__("xs_sim", XsSimConfig)
        config = self.config
        self._sizes = camera_sizes(config.cameras)
        self._simulation = make_simulation(config.task, "hardware", self._sizes)
        self._simulation.reset(Episode("", config.task, config.seed))
        gripper = follower_gripper(config.gripper)
        linkage = Linkage()
        self._plant = FollowerPlant(self._simulation.robot, gripper.finger, linkage, config.sleep_rad, config.build)
        self.arms = {arm: self._arm(arm, self._plant.start(arm), gripper.joint, linkage) for arm in FOLLOWERS}
        self._leaders: dict[str, LeaderPlant] = {}
        for arm in LEADERS if config.leaders else ():
            joint = LEADER_GRIPPERS[config.gripper].joint
            position = np.array([*config.sleep_rad, joint.position(0.5)])
            self._leaders[arm] = LeaderPlant(position)
            self.arms[arm] = self._arm(arm, position, joint, linkage)
        self.create_service(InjectFault, "xs_sim/inject", self._inject)
        self._stepped = time.monotonic()
        self._mechanics = Cadence(_DT, self.guarded(self._tick), "mechanics")
        self._camera = self._start_cameras()
        self._mechanics.start()

    def _arm(self, arm: str, position: np.ndarray, joint: FingerRange, linkage: Linkage) -> XsArm:
        config = self.config
        # A motor's own limits are the URDF's to a count; the gripper's are wider than its travel.
        lower = np.append(LOWER, joint.closed - 0.2) - POSITION_UNIT
        upper = np.append(UPPER, joint.open + 0.2) + POSITION_UNIT
        leads = arm in LEADERS
        motors = SimulatedMotors(
            position,
            lower,
            upper,
            torque=config.torque and not leads,
            modes=_LEADER_MODES if leads else (config.arm_mode, config.gripper_mode),
            heat=HeatConfig(config.ambient_c, config.heat_rise, config.heat_time_s),
            speed=config.build.speed or np.inf,
        )
        return XsArm(f"{self.get_namespace().rstrip('/')}/{arm}", motors, linkage, config.bus, config.sleep_rad)

    def _start_cameras(self) -> Cadence | None:
        if not self._sizes:
            return None
        config, pattern = self.config, "camera/<name>/image_raw"
        realsense = config.camera_driver == "realsense"
        topic = realsense_topic if realsense else image_topic
        self._frames = {name: self.publisher(pattern, topic(name)) for name in self._sizes}
        noise, generator = config.camera_noise if realsense else 0.0, np.random.default_rng(config.seed)
        self._noise = {n: SensorNoise((*size, 3), noise, generator) for n, size in self._sizes.items()} if noise else {}
        self._renderer = SceneRenderer(self._simulation.robot.model, self._sizes)
        kept = round(config.camera_delay_s / _DT) + 1
        self._snapshots = deque([(self._simulation.robot.snapshot(), time.time_ns())], maxlen=kept)
        camera = Cadence(1.0 / config.camera_rate_hz, self.guarded(self._shoot), "camera")
        camera.start()
        return camera

    def _tick(self) -> None:
        dt = self._elapsed()
        self._plant.jammed = {(arm, motor) for arm in FOLLOWERS for motor in self.arms[arm].faults.jam}
        self._plant.step({arm: self.arms[arm].drive(dt) for arm in FOLLOWERS}, dt)
        for arm in FOLLOWERS:
            self.arms[arm].measure(*self._plant.measure(arm), dt)
        for arm, leader in self._leaders.items():
            leader.step(self.arms[arm].drive(dt), dt)
            self.arms[arm].measure(*leader.measure(), dt)
        stamp_ns = time.time_ns()
        if self._camera is not None:
            self._snapshots.append((self._simulation.robot.snapshot(), stamp_ns))
        for xs_arm in self.arms.values():
            xs_arm.publish(stamp_ns)

    def _elapsed(self) -> float:
        """Whole steps since the last tick [s]: on a busy machine the arms miss joint states, but keep their pace."""
        now = time.monotonic()
        steps = min(max(1, round((now - self._stepped) / _DT)), _MOST_STEPS)
        self._stepped = max(self._stepped + steps * _DT, now - _DT)
        return steps * _DT

    def _shoot(self) -> None:
        seen_ns = time.time_ns() - round(self.config.camera_delay_s * 1e9)
        kept = list(self._snapshots)
        snapshot, stamp_ns = next((shot for shot in reversed(kept) if shot[1] <= seen_ns), kept[0])
        for name, image in self._renderer.render(snapshot).items():
            seen = self._noise[name](image) if self._noise else image
            self._frames[name].publish(encode(seen, stamp_ns, name))

    def _inject(self, request: InjectFault.Request, response: InjectFault.Response) -> InjectFault.Response:
        try:
            if request.arm not in self.arms:
                raise UnknownNameError("arm", request.arm, self.arms)
            self.arms[request.arm].inject(request.fault, request.joint, request.active, request.value)
            response.success = True
            word = "broken" if request.active else "mended"
            response.message = f"{request.arm}: {word}: {FAULTS[request.fault]}"
            self.get_logger().warning(response.message)
        except SpeedtuneError as error:
            response.message = str(error)
        return response

    def diagnose(self) -> dict[str, object]:
        values: dict[str, object] = {"ticks": self._mechanics.ticks, "missed_ticks": self._mechanics.missed}
        for name, arm in self.arms.items():
            with arm.lock:
                values[f"{name}.hottest_c"] = float(arm.motors.heat.temperature.max())
                values[f"{name}.torque"] = bool(arm.motors.torque.all())
                values[f"{name}.refused_goals"] = arm.motors.refused
        return values

    def close(self) -> None:
        self._mechanics.stop()
        if self._camera is not None:
            self._camera.stop()
        for arm in self.arms.values():
            arm.close()
        self._simulation.close()


def main() -> int:
    return run(XsSimNode)


if __name__ == "__main__":
    raise SystemExit(main())
