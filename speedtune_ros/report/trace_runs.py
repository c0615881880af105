"""Report runs from the in-process pipeline's traces."""

from __future__ import annotations

from collections.abc import Sequence

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.pipeline_trace import EpisodeResult
from speedtune_ros.report.runs import Choice, Frame, ReportRun


def run_of_result(result: EpisodeResult, mode: str, choices: Sequence[Choice] = ()) -> ReportRun:
    """One traced episode. Simulated time has no jitter, so there are no timing samples. Raises InvalidInputError."""
    trace = result.trace
    if trace is None:
        raise InvalidInputError(f"episode '{result.episode.id}': expected a trace, got none; run with trace=True")
    first = int(trace.stamps[0]) if len(trace.stamps) else 0
    steps = result.steps if result.success_step is None else result.success_step
    return ReportRun(
        title=result.episode.id,
        mode=mode,
        seed=result.episode.seed,
        success=result.success,
        duration=steps * CONTROL_DT,
        reason="success" if result.success else result.trouble or "time_limit",
        times=(trace.stamps - first) * 1e-9,
        commands=trace.commands,
        reached=trace.qpos,
        progress=trace.progress,
        speed=trace.speed,
        ceiling=trace.ceiling,
        reward=trace.reward,
        slip=result.slip,
        frames=tuple(Frame((stamp - first) * 1e-9, pixels) for stamp, pixels in trace.frames),
        binding_limits=result.binding_limits,
        choices=tuple(choices),
    )
