"""What a replay says, against what was recorded: decision by decision, and command by command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speedtune_ros.aloha import ARMS
from speedtune_ros.data.bag_series import Decision, EpisodeSeries

_ARMS = np.array(ARMS)
_SHOWN = 12  # decisions in the text
NAN = float("nan")


@dataclass(frozen=True)
class Pair:
    """One decision, recorded and now. chunk_rad: largest difference of targets, arm joints; NaN or "" where one lacks.

    inference_s: how long inference took; answer_s: from request to trajectory, recorded alone.
    """

    sequence: int
    time_s: float
    chunk_rad: float
    chunk_rms_rad: float
    speed: tuple[float, float]
    bound_by: tuple[str, str]
    mean_sdot: tuple[float, float]
    inference_s: tuple[float, float]
    answer_s: float
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether another speed was chosen, another limit bound, or an answer is missing."""
        return bool(self.note) or self.speed[0] != self.speed[1] or self.bound_by[0] != self.bound_by[1]


@dataclass(frozen=True)
class Comparison:
    """One episode, recorded and now. command_rad (T,): largest difference over arm joints on each common tick."""

    episode: str
    pairs: tuple[Pair, ...]
    ticks_s: np.ndarray
    command_rad: np.ndarray

    def figures(self) -> dict[str, Any]:
        """The summary: percentiles of differences and latencies, counts by choice and by limit."""
        both = [pair for pair in self.pairs if not pair.note]
        return {
            "episode": self.episode,
            "decisions": len(self.pairs),
            "compared": len(both),
            "chunk_rad": _spread([pair.chunk_rad for pair in both]),
            "command_rad": _spread(self.command_rad.tolist()),
            "same_speed": sum(pair.speed[0] == pair.speed[1] for pair in both),
            "same_limit": sum(pair.bound_by[0] == pair.bound_by[1] for pair in both),
            "limits_recorded": dict(Counter(pair.bound_by[0] for pair in both)),
            "limits_now": dict(Counter(pair.bound_by[1] for pair in both)),
            "mean_sdot_recorded": _mean([pair.mean_sdot[0] for pair in both]),
            "mean_sdot_now": _mean([pair.mean_sdot[1] for pair in both]),
            "inference_s_recorded": _spread([pair.inference_s[0] for pair in both]),
            "inference_s_now": _spread([pair.inference_s[1] for pair in both]),
            "request_to_trajectory_s_recorded": _spread([pair.answer_s for pair in both]),
        }

    def to_dict(self) -> dict[str, Any]:
        """Figures and everything they were computed from."""
        samples = {"ticks_s": self.ticks_s, "command_rad_samples": self.command_rad}
        return {**self.figures(), "pairs": [asdict(pair) for pair in self.pairs], **samples}


def compare(recorded: EpisodeSeries, now: EpisodeSeries, notes: Mapping[int, str] | None = None) -> Comparison:
    """Decisions are matched by the stamp of their observation, commands by their tick's."""
    answers = {decision.stamp_ns: decision for decision in now.decisions if decision.stamp_ns}
    said = notes or {}
    pairs = tuple(
        _pair(old, answers.get(old.stamp_ns), recorded.start_ns, said.get(old.sequence, ""))
        for old in recorded.decisions
    )
    commands = {tick.stamp_ns: tick.command for tick in now.ticks}
    common = [tick for tick in recorded.ticks if tick.stamp_ns in commands]
    apart = [float(np.abs(tick.command - commands[tick.stamp_ns])[_ARMS].max()) for tick in common]
    times = [(tick.stamp_ns - recorded.start_ns) * 1e-9 for tick in common]
    return Comparison(recorded.info.id, pairs, np.array(times), np.array(apart))


def _pair(old: Decision, new: Decision | None, start_ns: int, note: str) -> Pair:
    if not note:
        note = _missing("recorded", old) or ("not asked now" if new is None else _missing("now", new))
    apart = _apart(old, new)
    return Pair(
        old.sequence,
        (old.stamp_ns - start_ns) * 1e-9,
        float(np.abs(apart).max()) if apart.size else NAN,
        float(np.sqrt(np.mean(apart**2))) if apart.size else NAN,
        (_speed(old), _speed(new)),
        (_bound(old), _bound(new)),
        (_sdot(old), _sdot(new)),
        (_inference(old), _inference(new)),
        old.latency("request", "trajectory"),
        note,
    )


def _missing(when: str, decision: Decision) -> str:
    if decision.trajectory is not None:
        return ""
    return f"{when}: {decision.refusal or 'no trajectory'}"


def _apart(old: Decision, new: Decision | None) -> np.ndarray:
    """Differences of the first candidates' targets over arm joints, as far as both reach; empty if one lacks."""
    if new is None or old.chunk is None or new.chunk is None:
        return np.empty(0)
    a, b = old.chunk.targets[0], new.chunk.targets[0]
    length = min(len(a), len(b))
    return np.asarray(a[:length, _ARMS] - b[:length, _ARMS], float)


def _speed(decision: Decision | None) -> float:
    return NAN if decision is None or decision.choice is None else decision.choice.speed


def _bound(decision: Decision | None) -> str:
    return "" if decision is None or decision.report is None else decision.report.binding_limit or "none"


def _sdot(decision: Decision | None) -> float:
    return NAN if decision is None or decision.report is None else decision.report.mean_speed


def _inference(decision: Decision | None) -> float:
    return NAN if decision is None or decision.chunk is None else decision.chunk.latency


def _spread(values: Sequence[float]) -> dict[str, float]:
    known = np.array([value for value in values if value == value])
    if not known.size:
        return {"p50": NAN, "p99": NAN, "max": NAN}
    p50, p99 = np.percentile(known, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(known.max())}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else NAN


def text(comparison: Comparison) -> str:
    """The figures, and the decisions that came out differently."""
    figures = comparison.figures()
    n = figures["compared"]
    lines = [
        f"episode {comparison.episode}: {n} of {figures['decisions']} decisions compared",
        f"  chunk difference, arm joints    {_spread_text(figures['chunk_rad'], 1.0, 'rad')}",
        f"  command difference, arm joints  {_spread_text(figures['command_rad'], 1.0, 'rad')}",
        f"  same speed chosen               {figures['same_speed']} of {n}",
        f"  same limit bound                {figures['same_limit']} of {n}"
        f"   recorded: {_counts(figures['limits_recorded'])}; now: {_counts(figures['limits_now'])}",
        f"  mean sdot, recorded and now     {figures['mean_sdot_recorded']:.3f}  {figures['mean_sdot_now']:.3f}",
        f"  inference, recorded             {_spread_text(figures['inference_s_recorded'], 1e3, 'ms')}",
        f"  inference, now                  {_spread_text(figures['inference_s_now'], 1e3, 'ms')}",
        f"  request to trajectory, recorded {_spread_text(figures['request_to_trajectory_s_recorded'], 1e3, 'ms')}",
    ]
    different = [pair for pair in comparison.pairs if pair.differs]
    lines += [f"  {_pair_text(pair)}" for pair in different[:_SHOWN]]
    if len(different) > _SHOWN:
        lines.append(f"  ... and {len(different) - _SHOWN} more that differ")
    return "\n".join(lines)


def _pair_text(pair: Pair) -> str:
    words = f"#{pair.sequence} at {pair.time_s:.2f} s: speed {pair.speed[0]:g} -> {pair.speed[1]:g}, "
    words += f"bound by {pair.bound_by[0] or '-'} -> {pair.bound_by[1] or '-'}"
    return f"{words} ({pair.note})" if pair.note else words


def _spread_text(spread: Mapping[str, float], scale: float, unit: str) -> str:
    return "  ".join(f"{name} {scale * value:.3g}" for name, value in spread.items()) + f" {unit}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'none'} {count}" for name, count in counts.items()) or "none"
