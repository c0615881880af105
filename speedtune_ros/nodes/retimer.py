"""The retimer node: asks both policies when it is time, and turns their answers into trajectories."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from speedtune_msgs.msg import ActionChunk, DriverStatus, EpisodeStatus, RetimeReport, SpeedCommand
from speedtune_msgs.srv import SetSpeedLimit
from speedtune_ros import types
from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.config import option
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.nodes.answers import check_answer
from speedtune_ros.nodes.conversions import (
    choice_from_message,
    chunk_from_message,
    report_to_message,
    request_to_message,
    state_from_message,
    to_ns,
    to_stamp,
    trajectory_to_message,
)
from speedtune_ros.nodes.lockstep import LOCKSTEP_PATIENCE
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.registry import make_retimer
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.retimer import Ceiling
from speedtune_ros.retiming.scheduler import ChunkScheduler, SchedulerConfig
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.sampling import sample


@dataclass(frozen=True)
class RetimerNodeConfig:
    """How chunks become trajectories."""

    retimer: str = option("linear", "how chunks are re-timed")
    profile: str = option("act", "dynamics profile whose limits and lag apply")
    lockstep: bool = option(False, "hand over a given number of ticks after the observation, not at the next tick")
    answer_timeout_s: float = option(1.0, "ask again if a policy does not answer so long", minimum=0.02, maximum=60.0)
    episode_timeout_s: float = option(
        1.0,
        "ask nothing if the episode node is silent so long; in lock-step ten times as long",
        minimum=0.3,
        maximum=60.0,
    )
    operator_limit_max: float = option(10.0, "largest speed limit an operator may set", minimum=0.01, maximum=100.0)
    lag_s: float = option(-1.0, "measured: arms trail their command so much; negative: the profile's", maximum=1.0)
    limits: MeasuredLimits = field(default_factory=MeasuredLimits)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    retiming: RetimerConfig = field(default_factory=RetimerConfig)


_DOUBT_NS = 3 * CONTROL_DT_NS  # a trajectory may reach the driver a tick or two after its start


class RetimerNode(StageNode[RetimerNodeConfig]):
    """Everything runs in the executor's one thread: the scheduler needs no lock."""

    def __init__(self) -> None:
        super().__init__("retimer", RetimerNodeConfig)
        config = self.config
        profile = make_profile(config.profile)
        limits = narrowed(profile.limits, config.limits, config.profile)
        retimer = make_retimer(config.retimer, config.retiming, limits.velocity)
        lag = profile.lag if config.lag_s < 0.0 else config.lag_s
        self._scheduler = ChunkScheduler(retimer, config.scheduler, lag)
        patience = LOCKSTEP_PATIENCE if config.lockstep else 1.0
        self._timeout_s, self._silence_s = config.answer_timeout_s * patience, config.episode_timeout_s * patience
        self._heard = time.monotonic()  # of the episode node
        self._silent = False
        self._requests = self.publisher("inference_request")
        self._trajectories = self.publisher("trajectory")
        self._reports = self.publisher("retime_report")
        self._state: types.RobotState | None = None
        self._driver: DriverStatus | None = None
        self._left = ""  # episode given up by retimer/reset
        self._end()
        self.listen("episode_status", self._follow)
        self.listen("driver_status", self._keep_driver)
        self.listen("joint_states", self._keep_state)
        self.listen("action_chunk", self._take_chunk)
        self.listen("speed_command", self._take_choice)
        self.create_service(SetSpeedLimit, "retimer/set_speed_limit", self._set_limit)
        self.create_service(Trigger, "retimer/reset", self._reset)
        self.every(min(0.1, self._timeout_s / 2), self._watch)
        self.beat()

    def _end(self) -> None:
        """No episode: nothing is asked and every answer is refused."""
        self._episode_id, self._instruction = "", ""
        self._start_ns = 0
        self._begun = False
        self._close_request()
        self._last = {ActionChunk: -1, SpeedCommand: -1}
        self._sent: tuple[Any, Any] | None = None
        self._playing: types.Trajectory | None = None  # as far as this node knows
        self._doubted = False  # the driver says otherwise

    def _close_request(self) -> None:
        self._request: types.InferenceRequest | None = None
        self._asked = 0.0
        self._chunk: types.Chunk | None = None
        self._choice: types.SpeedChoice | None = None

    def _follow(self, status: EpisodeStatus) -> None:
        self._heard, self._silent = time.monotonic(), False
        if status.phase != EpisodeStatus.RUNNING:
            if self._episode_id:
                self._end()
            return
        if status.episode_id not in (self._episode_id, self._left):
            self._end()
            self._episode_id, self._instruction = status.episode_id, status.instruction
            self._start_ns = to_ns(status.start)
            self._advance()

    def _keep_driver(self, status: DriverStatus) -> None:
        self._driver = status
        limited = status.speed_ceiling > 0.0
        robot = Ceiling(status.speed_ceiling, status.ceiling_reason, status.ceiling_joint) if limited else None
        self._scheduler.robot_ceiling = robot
        if self._episode_id and not self._begun:
            self._advance()
        self._compare(status)

    def _compare(self, status: DriverStatus) -> None:
        """Start over from where the arms rest if the driver does not play what was sent, until it does after all.

        In lock-step it is counted alone: there no trajectory is late, and the in-process pipeline goes on as well.
        """
        playing, stamp_ns = self._playing, to_ns(status.header.stamp)
        if playing is None or status.episode_id != self._episode_id or stamp_ns < playing.start_ns + _DOUBT_NS:
            return
        rests = status.state == DriverStatus.HOLDING and sample(playing, stamp_ns + _DOUBT_NS).speed > 0.0
        if status.trajectory >= playing.sequence and not rests:
            if self._doubted and not self.config.lockstep:
                self._scheduler.resume(playing)
            self._doubted = False
            return
        if not self._doubted:
            self._doubted = True
            does = "holds" if rests else f"plays {status.trajectory}"
            self.fail("not_played", f"trajectory {playing.sequence} was sent, but the driver {does}")
        if status.speed == 0.0 and not self.config.lockstep:
            self._scheduler.rest(status.command, status.progress, stamp_ns)

    def _keep_state(self, message: JointState) -> None:
        state = state_from_message(message)
        last_ns = self._state.stamp_ns if self._state is not None else 0
        if self._begun and state.stamp_ns < last_ns:
            raise Refused("old_stamp", f"joint state {(last_ns - state.stamp_ns) * 1e-9:.3f} s before the last one")
        repeated = state.stamp_ns == last_ns
        self._state = state
        if repeated and self._begun:
            self._repeat(state.stamp_ns)
        else:
            self._advance()

    def _advance(self) -> None:
        """What is due at the newest state: the episode's first tick, or a request."""
        state, driver = self._state, self._driver
        if not self._episode_id or state is None or state.stamp_ns < self._start_ns:
            return
        if not self._begun:
            if driver is None or driver.episode_id != self._episode_id:
                return  # the robot does not know of the episode yet
            if to_ns(driver.header.stamp) < self._start_ns - CONTROL_DT_NS:
                return  # it does, but was not yet where the episode begins: a simulator hears of it before its reset
            self._scheduler.reset(driver.command, state.stamp_ns)
            self._begun = True
        self._scheduler.setpoint(state.stamp_ns)
        if self._is_silent():
            return
        request = self._scheduler.due(state.stamp_ns)
        if request is not None:
            self._close_request()
            self._request, self._asked = request, time.monotonic()
            self._requests.publish(request_to_message(request, self._episode_id, self._instruction))
            self.counts["requests"] += 1

    def _is_silent(self) -> bool:
        """Whether nobody is there to end the episode: then nothing is asked, and the arms stop where a chunk ends."""
        silence = time.monotonic() - self._heard
        if silence > self._silence_s and not self._silent:
            self._silent = True
            self.fail("episode_silent", f"no episode status for {silence:.1f} s: asking nothing")
        return self._silent

    def _take_chunk(self, message: ActionChunk) -> None:
        check_answer(message, self._episode_id, self._request, self._last[ActionChunk])
        self._chunk = chunk_from_message(message)
        self._last[ActionChunk] = message.sequence
        self._retime()

    def _take_choice(self, message: SpeedCommand) -> None:
        check_answer(message, self._episode_id, self._request, self._last[SpeedCommand])
        self._choice = choice_from_message(message)
        self._last[SpeedCommand] = message.sequence
        self._retime()

    def _retime(self) -> None:
        """Hand over to the new chunk once both answers are here."""
        request, chunk, choice, state = self._request, self._chunk, self._choice, self._state
        if request is None or chunk is None or choice is None or state is None:
            return
        lockstep = self.config.lockstep
        handover_ns = self._scheduler.handover_ns(request.stamp_ns) if lockstep else state.stamp_ns + CONTROL_DT_NS
        self._close_request()
        begun = time.perf_counter()
        try:
            retiming = self._scheduler.accept(chunk, choice, handover_ns, request.sequence)
        except InvalidInputError as error:
            self._scheduler.refuse()  # accept has counted its own reason
            self._report_refusal(request, str(error))
            raise
        report = dataclasses.replace(retiming.report, solve_time=time.perf_counter() - begun)
        messages = (
            trajectory_to_message(retiming.trajectory, self._episode_id),
            report_to_message(report, self._episode_id, self._scheduler.next_request_ns),
        )
        self._sent, self._playing, self._doubted = messages, retiming.trajectory, False
        self._trajectories.publish(messages[0])
        self._reports.publish(messages[1])
        self.counts[f"bound.{report.binding_limit}"] += 1
        self.counts["trajectories"] += 1

    def _repeat(self, stamp_ns: int) -> None:
        """A paused robot shows its state again: whoever joined late gets what was missed."""
        if self._request is not None:
            self._requests.publish(request_to_message(self._request, self._episode_id, self._instruction))
        elif self._sent is not None and to_ns(self._sent[1].header.stamp) == stamp_ns:
            self._trajectories.publish(self._sent[0])
            self._reports.publish(self._sent[1])
        else:
            self._advance()  # what was not asked while the episode node was silent

    def _watch(self) -> None:
        """Give up on a request that was not answered in time."""
        if self._request is None or time.monotonic() - self._asked < self._timeout_s:
            return
        missing = [name for name, got in (("task_policy", self._chunk), ("speed_policy", self._choice)) if got is None]
        request = self._request
        self._close_request()
        self._scheduler.refuse("timeout")
        text = f"no valid answer from {' and '.join(missing)} within {self._timeout_s:g} s"
        self._report_refusal(request, text)
        raise Refused("no_answer", text)

    def _report_refusal(self, request: types.InferenceRequest, text: str) -> None:
        message = RetimeReport(
            episode_id=self._episode_id,
            sequence=request.sequence,
            mode=self.config.retimer,
            fallback_reason=f"refused: {text}",
            next_request=to_stamp(self._scheduler.next_request_ns),
        )
        message.header.stamp = to_stamp(request.stamp_ns)
        self._sent = None
        self._reports.publish(message)

    def _set_limit(self, request: SetSpeedLimit.Request, response: SetSpeedLimit.Response) -> SetSpeedLimit.Response:
        highest = self.config.operator_limit_max
        if not 0.0 < request.speed <= highest:  # False for NaN
            response.message = f"speed limit: expected above 0 and at most {highest:g}, got {request.speed}"
            self.fail("bad_speed_limit", response.message)
            return response
        self._scheduler.operator_limit = request.speed
        response.success, response.message = True, f"speed limit is {request.speed:g}"
        return response

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Leave the episode under way: the arms stop at the end of what was published, the next one starts clean."""
        self._left = self._episode_id
        self._end()
        response.success, response.message = True, "reset; waiting for the next episode"
        return response

    def diagnose(self) -> dict[str, object]:
        return {
            "episode": self._episode_id,
            "operator_limit": self._scheduler.operator_limit,
            "latency_s": self._scheduler.latency,
        }


def main() -> int:
    return run(RetimerNode)


if __name__ == "__main__":
    raise SystemExit(main())
