"""The state of every stage at one instant of a bag: what was seen, chosen, bound, commanded, reached, refused."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from speedtune_ros.aloha import ARMS, JOINT_NAMES
from speedtune_ros.data.bag_series import Decision, EpisodeSeries, Tick
from speedtune_ros.errors import DataError
from speedtune_ros.sampling import sample

_ARMS = np.array(ARMS)
_HEALTH_S = 2.0  # nodes report once a second


def why(series: EpisodeSeries, log_ns: int, bag_start_ns: int = 0) -> dict[str, Any]:
    """Every stage as of `log_ns`, system time [ns], by stage. Ages in seconds; None where the bag does not tell.

    Only what had been received by then is used. Raises DataError if that is before the episode's first tick.
    """
    ticks = [tick for tick in series.ticks if tick.times.log_ns <= log_ns]
    if not ticks:
        raise DataError(f"episode '{series.info.id}': no tick of the driver was recorded before that time")
    tick = ticks[-1]
    said = [decision for decision in series.decisions if _received(decision, "request", log_ns)]
    playing = next((d for d in reversed(said) if d.sequence == tick.trajectory and d.trajectory is not None), None)
    return {
        "instant": _instant(series, tick, log_ns, bag_start_ns),
        "observation": _observation(series, tick, log_ns),
        "asked": _asked(said, log_ns),
        "chunk": _chunk(series, playing, tick),
        "speed": _speed(playing),
        "retiming": _retiming(playing, tick),
        "command": _command(series, tick),
        "driver": _driver(series, ticks),
        "warnings": _warnings(series, log_ns),
    }


def _received(decision: Decision, name: str, log_ns: int) -> bool:
    return name in decision.times and decision.times[name].log_ns <= log_ns


def _instant(series: EpisodeSeries, tick: Tick, log_ns: int, bag_start_ns: int) -> dict[str, Any]:
    rewards = [reward for stamp, reward in series.rewards if stamp <= tick.stamp_ns]
    return {
        "bag_time_s": (log_ns - bag_start_ns) * 1e-9 if bag_start_ns else None,
        "episode": series.info.id,
        "task": series.info.task,
        "seed": series.info.seed,
        "episode_time_s": (tick.stamp_ns - series.start_ns) * 1e-9,
        "stamp_ns": tick.stamp_ns,
        "last_tick_age_s": (log_ns - tick.times.log_ns) * 1e-9,
        "reward": rewards[-1] if rewards else None,
        "succeeded": series.success_ns is not None and series.success_ns <= tick.stamp_ns,
        "episode_ends": series.info.reason or "the bag ends first",
    }


def _observation(series: EpisodeSeries, tick: Tick, log_ns: int) -> dict[str, Any]:
    """How old what is known is: by stamp against the tick, and since it was received."""
    index = bisect_right([times.log_ns for times in series.state_times], log_ns) - 1
    ages: dict[str, Any] = {"joint_state_age_s": None}
    if index >= 0:
        ages["joint_state_age_s"] = (tick.stamp_ns - series.states[index].stamp_ns) * 1e-9
    for camera in series.cameras:
        frame = series.frame_at(camera, tick.stamp_ns, log_ns)
        ages[f"{camera}_age_s"] = None if frame is None else (tick.stamp_ns - frame.stamp_ns) * 1e-9
    return ages


def _asked(said: Sequence[Decision], log_ns: int) -> dict[str, Any]:
    """The last request and what has come of it so far."""
    if not said:
        return {"sequence": None}
    last = said[-1]
    answered = {name: _received(last, name, log_ns) for name in ("chunk", "choice", "report")}
    waiting = (log_ns - last.times["request"].log_ns) * 1e-9
    return {
        "sequence": last.sequence,
        "since_s": waiting,
        "chunk_is_here": answered["chunk"],
        "speed_is_here": answered["choice"],
        "refused": last.refusal if answered["report"] else "",
    }


def _chunk(series: EpisodeSeries, playing: Decision | None, tick: Tick) -> dict[str, Any]:
    if playing is None or playing.chunk is None:
        return {"sequence": None}
    chunk, trajectory = playing.chunk, playing.trajectory
    seen = {camera: series.frame_at(camera, chunk.stamp_ns) for camera in series.cameras}
    assert trajectory is not None
    return {
        "sequence": playing.sequence,
        "policy": chunk.policy,
        "targets": chunk.horizon,
        "dt_s": chunk.dt,
        "kind": chunk.kind.value,
        "observation_age_s": (tick.stamp_ns - chunk.stamp_ns) * 1e-9,
        **{f"{c}_age_then_s": (chunk.stamp_ns - f.stamp_ns) * 1e-9 for c, f in seen.items() if f is not None},
        "inference_s": chunk.latency,
        "request_to_chunk_s": playing.latency("request", "chunk"),
        "request_to_trajectory_s": playing.latency("request", "trajectory"),
        "left_until_rest_s": trajectory.duration - (tick.stamp_ns - trajectory.start_ns) * 1e-9,
    }


def _speed(playing: Decision | None) -> dict[str, Any]:
    if playing is None or playing.choice is None:
        return {"v": None}
    choice = playing.choice
    values = dict(zip((f"{speed:g}" for speed in choice.speeds), choice.values))
    return {"v": choice.speed, "source": choice.source, "choices": choice.speeds, "q_values": values or None}


def _retiming(playing: Decision | None, tick: Tick) -> dict[str, Any]:
    if playing is None or playing.report is None:
        return {"executed_sdot": tick.speed}
    report = playing.report
    return {
        "mode": report.mode,
        "executed_sdot": tick.speed,
        "mean_sdot": report.mean_speed,
        "ceiling": report.requested_speed,
        "bound_by": report.binding_limit or "none",
        "binding_joint": report.binding_joint,
        "fallback": report.fallback_reason,
        "handover": report.handover,
        "entry_s": report.entry,
        "position_jump_rad": report.position_jump,
        "velocity_jump_rad_s": report.velocity_jump,
        "backward_step_rad": report.backward_step,
        "slip_s": report.slip,
        "solve_s": report.solve_time,
    }


def _command(series: EpisodeSeries, tick: Tick) -> dict[str, Any]:
    """What was sent on the tick, against what the arms had reached then and what the trajectory wanted."""
    state, decision = series.state_at(tick.stamp_ns), series.decision(tick.trajectory)
    planned = None
    if decision is not None and decision.trajectory is not None and tick.stamp_ns >= decision.trajectory.start_ns:
        planned = sample(decision.trajectory, tick.stamp_ns).position
    values: dict[str, Any] = {"progress_s": tick.progress}
    if state is not None:
        errors = np.abs(tick.command - state.qpos)[_ARMS]
        worst = int(errors.argmax())
        values |= {"worst_error_rad": float(errors[worst]), "worst_joint": JOINT_NAMES[_ARMS[worst]]}
    if planned is not None:
        values["command_minus_trajectory_rad"] = float(np.abs(tick.command - planned).max())
    reached = state.qpos if state is not None else np.full(len(JOINT_NAMES), np.nan)
    rows = zip(JOINT_NAMES, tick.command, reached)
    return {**values, "joints": {name: {"command": float(c), "reached": float(r)} for name, c, r in rows}}


def _driver(series: EpisodeSeries, ticks: Sequence[Tick]) -> dict[str, Any]:
    """What the driver and its motion guard say; counts since the episode began, and over the last second."""
    tick, first = ticks[-1], series.ticks[0]
    recent = next((t for t in ticks if tick.stamp_ns - t.stamp_ns <= 1_000_000_000), tick)
    counts = {name: _count(name, first, recent, tick) for name in ("refused", "saturated", "missed")}
    return {"state": tick.state, "faults": tick.faults, "tracking_error_rad": tick.tracking_error, **counts}


def _count(name: str, first: Tick, recent: Tick, now: Tick) -> dict[str, int]:
    count = getattr(now, name)
    return {"in_episode": count - getattr(first, name), "last_s": count - getattr(recent, name)}


def _warnings(series: EpisodeSeries, log_ns: int) -> dict[str, str]:
    """What nodes complained of lately."""
    begin = log_ns - round(_HEALTH_S * 1e9)
    return {h.node: h.message for h in series.health if begin <= h.log_ns <= log_ns and h.level > 0}


def text(found: Mapping[str, Any]) -> str:
    """The same for a terminal: a block a stage, joints as a table."""
    blocks = []
    for stage, values in found.items():
        plain = {key: value for key, value in values.items() if key != "joints"}
        width = max((len(key) for key in plain), default=0)
        lines = [f"  {key:<{width}}  {_word(value)}" for key, value in plain.items()] or ["  none"]
        if "joints" in values:
            lines.append(f"  {'joint':<22}{'command':>10}{'reached':>10}{'error':>10}")
            for joint, pair in values["joints"].items():
                error = pair["command"] - pair["reached"]
                lines.append(f"  {joint:<22}{pair['command']:>10.4f}{pair['reached']:>10.4f}{error:>10.4f}")
        blocks.append("\n".join([stage, *lines]))
    return "\n\n".join(blocks)


def _word(value: Any) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_word(item)}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_word, value)) or "none"
    return str(value) if value != "" else "-"
