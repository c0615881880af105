"""What is evaluated: one task, one policy, one way to choose the speed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation import metrics
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.execution import ExecutionConfig
from speedtune_ros.speed.speed_policy import split_spec


@dataclass(frozen=True)
class EvaluationConfig(ExecutionConfig):
    """What is evaluated; the seeds are given apart, so a run can be extended."""

    speed: str = option(
        "constant:1",
        "speed policy: constant:2, phase or phase:3,1.5, rainbow or rainbow:PATH (,tolerance=V prefers speed, -V "
        "caution); a plain number is a constant speed",
    )

    def __post_init__(self) -> None:
        """One spelling a speed, so that `1`, `constant` and `constant:1.0` find the samples of `constant:1`."""
        kind, argument = split_spec(self.speed)
        if kind == "constant":
            try:
                object.__setattr__(self, "speed", f"constant:{float(argument or 1.0):g}")
            except ValueError as error:
                raise ConfigError(f"speed: expected a number after 'constant:', got '{argument}'") from error

    def demonstrated(self) -> EvaluationConfig:
        """The same at demonstrated speed: the baseline of `acceleration`."""
        return dataclasses.replace(self, speed="constant:1")

    def demonstration(self) -> EvaluationConfig:
        """The scripted expert at its own pace: the baseline of `demo_speedup`."""
        return EvaluationConfig(task=self.task, policy="expert", dynamics=self.dynamics)

    def commanded_speed(self, samples: Sequence[EpisodeSample]) -> float:
        """The speed of a constant policy; otherwise the mean of what it chose in `samples`, 1 if they do not say."""
        kind, _, argument = self.speed.partition(":")
        chosen = [sample.commanded_speed for sample in samples if sample.commanded_speed > 0.0]
        return float(argument) if kind == "constant" else metrics.mean(chosen) if chosen else 1.0


def file_words(speed: str) -> str:
    """A speed policy's name and argument as a part of a file's name."""
    return re.sub(r"[^\w.,=-]+", "-", speed)
