"""The episode node: one episode or move at a time, from its goal to the reason it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from std_srvs.srv import Trigger

from speedtune_msgs.action import MoveArms, RunEpisode
from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_msgs.srv import LabelEpisode, SetSpeedMode, SimReset
from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.blocking_node import BlockingNode
from speedtune_ros.nodes.conversions import to_stamp, trajectory_to_message
from speedtune_ros.nodes.episode_config import EpisodeConfig, named_pose, nominal
from speedtune_ros.nodes.episode_watch import EpisodeWatch, Interrupted
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.nodes.services import Services
from speedtune_ros.robots.staged_move import staged_move

_POLL_S = 0.02
_RESULT_TIMEOUT_S = 900  # rclpy's own is 10
_STATUS_HZ = 10.0
_SHUT_DOWN = "shut down"
_LEAVE_S = 1.0
_LOADING = 6.0  # times as long as other services may a speed policy take: a learned one loads the task policy as well
_MOVES_TO_START = 2  # a hold on the way, as for a late joint state, drops what is left of a move


class EpisodeNode(StageNode[EpisodeConfig]):
    """Serves `run_episode` and `move_arms`; tells every stage which episode runs through `episode_status`."""

    _servers: Sequence[ActionServer[Any]] = ()

    def __init__(self) -> None:
        super().__init__("episode", EpisodeConfig)
        self._blocking = BlockingNode(self)  # goals take as long as their episode
        self._calls = Services(self)
        self._lock = threading.Lock()  # the status is changed by goals and published by a timer
        self._instruction, self._demonstration_s = nominal(self.config)
        self._watch = EpisodeWatch(self, self.config)
        self._status = EpisodeStatus()
        self._status_out = self.publisher("episode_status")
        self._trajectories = self.publisher("trajectory")
        self._busy = False
        self._count = 0
        self._moves = 0
        self._demonstrated: dict[int, float] = {}  # duration at demonstrated speed [s] by seed
        self.every(1.0 / _STATUS_HZ, self._publish_progress)
        self.create_service(LabelEpisode, "episode/label", self._label)
        self._blocking.node.create_service(Trigger, "episode/stop", self._stop, callback_group=self._blocking.group)
        self._servers = [
            self._serve(RunEpisode, "run_episode", self._run_episode),
            self._serve(MoveArms, "move_arms", self._move_arms),
        ]
        self._publish(EpisodeStatus.IDLE)
        self._blocking.start()
        self.beat()

    def _serve(self, action: Any, name: str, execute: Any) -> ActionServer:
        return ActionServer(
            self._blocking.node,
            action,
            name,
            execute,
            callback_group=self._blocking.group,
            goal_callback=self._admit,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=_RESULT_TIMEOUT_S,
        )

    def _admit(self, _: Any) -> GoalResponse:
        if self._busy:
            self.fail("busy", f"a goal came while '{self._status.episode_id}' runs: one at a time")
            return GoalResponse.REJECT
        self._busy = True
        return GoalResponse.ACCEPT

    def _run_episode(self, handle: ServerGoalHandle) -> RunEpisode.Result:
        result = RunEpisode.Result()
        try:
            self._prepare(handle, result)
            self._follow(handle, result)
        except Interrupted as end:
            result.reason = str(end)
        except (SpeedtuneError, ValueError) as error:
            self.refuse(error)
            result.reason = str(error)
        finally:
            self._finish(result.reason)
            if handle.request.record and result.reason != _SHUT_DOWN:  # then the recorder ends as well
                self._calls.call(Trigger, "recorder/bag", Trigger.Request())  # all of it on disk
            self._busy = False
        _settle(handle, result.reason, ok=result.reason in ("success", "time_limit", "progress_limit"))
        return result

    def _prepare(self, handle: ServerGoalHandle, result: RunEpisode.Result) -> None:
        """Everything before the first tick; raises Refused with what stands in the way, or Interrupted."""
        goal = handle.request
        task = goal.task or self.config.task
        if task != self.config.task:
            raise Refused("other_task", f"task '{task}': this graph runs '{self.config.task}'")
        for name in ("time_limit", "progress_limit"):
            if not 0.0 <= getattr(goal, name) < 3600.0:  # False for NaN
                given = getattr(goal, name)
                raise Refused(f"bad_{name}", f"{name.replace('_', ' ')}: expected 0 to 3600 s, got {given}")
        if goal.speed_mode:
            mode = SetSpeedMode.Request(mode=goal.speed_mode)
            self._calls.demand(SetSpeedMode, "speed_policy/set_mode", mode, _LOADING)
        if goal.record:
            result.bag = self._calls.demand(Trigger, "recorder/bag", Trigger.Request()).message
        self._new_status(f"{task}-{goal.seed}", task, goal.instruction or self._instruction, goal.seed)
        nominal = self._demonstration_s + self.config.margin_s
        own = not goal.time_limit
        self._watch.begin(self._status.episode_id, goal.time_limit or nominal, goal.progress_limit, stretches=own)
        self._publish(EpisodeStatus.PREPARING)
        if self.config.robot == "sim":
            request = SimReset.Request(episode_id=self._status.episode_id, task=task, seed=goal.seed)
            self._status.start = self._calls.demand(SimReset, "sim/reset", request).stamp
        else:
            self._status.start = self._to_start(lambda: handle.is_cancel_requested)

    def _to_start(self, cancelled: Callable[[], bool]) -> Any:
        """Move real arms to the start pose if they are far from it; the stamp from which the episode counts."""
        goal = named_pose("start")
        error, moves = self._watch.distance(goal), 0
        while error > self.config.start_tolerance_rad:
            if moves == _MOVES_TO_START:
                words = f"arms are {error:.3f} rad from the start pose after {moves} moves to it"
                raise Refused("far_from_start", words)
            error, moves = self._move(goal, self.config.move_speed_rad_s, cancelled), moves + 1
        return to_stamp(self._watch.stamp_ns + CONTROL_DT_NS)

    def _follow(self, handle: ServerGoalHandle, result: RunEpisode.Result) -> None:
        """From the first tick to the reason it ended."""
        self._watch.wait_for_driver(self.config.service_timeout_s, lambda: handle.is_cancel_requested)
        self._watch.start(self._status.start)
        self._publish(EpisodeStatus.RUNNING)
        feedback, told = RunEpisode.Feedback(), 0.0
        while not (reason := self._watch.ended()):
            if handle.is_cancel_requested:
                reason = "cancelled"
                break
            watch = self._watch
            if time.monotonic() - told > 1.0 / _STATUS_HZ:
                told = time.monotonic()
                feedback.elapsed, feedback.progress = watch.elapsed, watch.progress
                feedback.speed, feedback.reward = watch.speed, watch.reward
                handle.publish_feedback(feedback)
            watch.wait(_POLL_S)
        result.reason, result.success = reason, self._watch.success
        result.duration = self._watch.duration
        result.acceleration = self._acceleration(handle.request, result)

    def _acceleration(self, goal: RunEpisode.Goal, result: RunEpisode.Result) -> float:
        """Against the same seed at demonstrated speed, if that was run; else 0."""
        if not result.success:
            return 0.0
        if goal.speed_mode in ("constant:1", "constant:1.0"):
            self._demonstrated[goal.seed] = result.duration
        return self._demonstrated.get(goal.seed, 0.0) / result.duration

    def _move_arms(self, handle: ServerGoalHandle) -> MoveArms.Result:
        result = MoveArms.Result()
        tell = lambda left: handle.publish_feedback(MoveArms.Feedback(remaining=left))  # noqa: E731
        try:
            goal = named_pose(handle.request.pose, handle.request.positions, self._watch.sleep)
            self._new_status("move", "", "", 0)
            self._watch.begin(self._status.episode_id, 0.0)
            self._publish(EpisodeStatus.PREPARING)
            result.error = self._move(goal, handle.request.speed, lambda: handle.is_cancel_requested, tell)
            result.success = result.error <= self.config.move_tolerance_rad
            result.message = "reached" if result.success else f"{result.error:.3f} rad from the goal"
        except Interrupted as end:
            result.message, result.error = str(end), self._watch.distance(goal)
        except (SpeedtuneError, ValueError) as error:
            self.refuse(error)
            result.message = str(error)
        finally:
            self._finish(result.message)
            self._busy = False
        _settle(handle, result.message, ok=result.success)
        return result

    def _move(
        self, goal: Any, speed: float, cancelled: Callable[[], bool], tell: Callable[[float], None] = lambda left: None
    ) -> float:
        """Play a staged move to `goal` (14,); the largest distance left at its end [rad]. Raises Interrupted.

        tell: called with the time left [s].
        """
        limit = self.config.move_speed_max_rad_s
        if not 0.0 < speed <= limit:
            raise Refused("bad_move_speed", f"move speed: expected above 0 and at most {limit} rad/s, got {speed}")
        command = self._watch.wait_for_driver(self.config.silence_timeout_s, cancelled)
        self._moves += 1  # the driver takes no second trajectory of the same number in an episode
        move = staged_move(command, goal, speed, self._watch.stamp_ns + 2 * CONTROL_DT_NS, sequence=self._moves)
        self._trajectories.publish(trajectory_to_message(move, self._status.episode_id))
        end_ns = move.start_ns + round((move.duration + self.config.settle_s) * 1e9)
        while (left := (end_ns - self._watch.stamp_ns) * 1e-9) > 0.0:
            self._watch.check(cancelled)
            tell(left)
            self._watch.wait(_POLL_S)
        return self._watch.distance(goal)

    def _new_status(self, name: str, task: str, instruction: str, seed: int) -> None:
        # Unique across restarts of this node, so that no stage mistakes an old episode for this one.
        self._count += 1
        episode_id = f"{name}-{time.time_ns() // 1_000_000:x}-{self._count}"
        with self._lock:
            self._status = EpisodeStatus(episode_id=episode_id, task=task, instruction=instruction, seed=seed)

    def _publish(self, phase: int, reason: str = "", only_in: int | None = None) -> None:
        with self._lock:
            if only_in is not None and self._status.phase != only_in:
                return
            status, watch = self._status, self._watch
            status.phase, status.reason = phase, reason
            status.elapsed, status.progress = watch.elapsed, watch.progress
            status.reward, status.success = watch.reward, watch.success
            status.header.stamp = to_stamp(watch.stamp_ns)
            self._status_out.publish(status)

    def _publish_progress(self) -> None:
        self._publish(EpisodeStatus.RUNNING, only_in=EpisodeStatus.RUNNING)

    def _finish(self, reason: str) -> None:
        if self._status.phase not in (EpisodeStatus.PREPARING, EpisodeStatus.RUNNING):
            return  # refused before it began
        self._publish(EpisodeStatus.ENDED, reason)
        self.counts[f"ended.{reason.split(':')[0].replace(' ', '_')[:20]}"] += 1

    def _label(self, request: LabelEpisode.Request, response: LabelEpisode.Response) -> LabelEpisode.Response:
        """During an episode a label ends it; afterwards it is kept until the next one begins."""
        try:
            with self._lock:
                self._check_label(request)
                self._status.labelled, self._status.label = True, request.reward
                if self._status.phase == EpisodeStatus.RUNNING:
                    self._watch.label(request.reward)
                else:
                    self._status_out.publish(self._status)
        except Refused as error:
            self.refuse(error)
            response.message = str(error)
            return response
        response.success, response.message = True, f"labelled {request.reward:g}"
        return response

    def _check_label(self, request: LabelEpisode.Request) -> None:
        """Raise Refused unless the label is one, and there is an episode without another one for it."""
        status, reward = self._status, request.reward
        if not -1.0 <= reward <= 1.0:  # False for NaN
            raise Refused("bad_label", f"label: expected a reward from -1 to 1, got {reward}")
        if request.episode_id not in ("", status.episode_id):
            raise Refused("other_episode", f"label: the episode is '{status.episode_id}', not '{request.episode_id}'")
        if not status.task or status.phase not in (EpisodeStatus.RUNNING, EpisodeStatus.ENDED):
            raise Refused("no_episode", "label: no episode runs or has ended that could be labelled")
        if status.labelled and status.label != reward:
            raise Refused("labelled", f"label: '{status.episode_id}' is labelled {status.label:g} already")

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Forward the stop to whoever moves the arms."""
        answer = self._calls.call(Trigger, "driver/stop", Trigger.Request())
        response.success = answer is not None and answer.success
        response.message = answer.message if answer is not None else "driver/stop does not answer"
        return response

    def diagnose(self) -> dict[str, object]:
        return {"episode": self._status.episode_id, "phase": self._status.phase, "busy": self._busy}

    def level(self) -> tuple[bytes, str]:
        if self._watch.driver is not None and self._watch.driver.state == DriverStatus.STOPPED:
            return b"\x01", "stopped; clear with driver/clear_stop"
        return super().level()

    def close(self) -> None:
        self._watch.abandon(_SHUT_DOWN)
        end = time.monotonic() + _LEAVE_S
        while self._busy and time.monotonic() < end:  # the goal says how it ended
            time.sleep(_POLL_S)
        self._blocking.close()

    def destroy_node(self) -> None:
        if self._servers:  # none yet where parameters are refused
            self._blocking.destroy(self._servers)
        super().destroy_node()


def _settle(handle: ServerGoalHandle, reason: str, *, ok: bool) -> None:
    """Tell the action protocol how its goal ended."""
    if reason == "cancelled" and handle.is_cancel_requested:
        handle.canceled()
    elif ok:
        handle.succeed()
    else:
        handle.abort()


def main() -> int:
    return run(EpisodeNode)


if __name__ == "__main__":
    raise SystemExit(main())
