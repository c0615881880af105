"""What one episode contributes to a figure, and the file that gathers such samples across interruptions."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from speedtune_ros.errors import ConfigError, DataError


@dataclass(frozen=True)
class EpisodeSample:
    """One episode, as the JSON keeps it: enough to recompute every figure.

    steps: control steps run; success_step: control steps to first success; jumps at each hand-over [rad];
    trouble: what latched the driver and so ended the episode, else empty; commanded_speed: mean of
    what the speed policy asked for, 0 if it asked for nothing (or the file does not say).
    """

    seed: int
    steps: int
    success_step: int | None
    max_reward: float = 0.0
    realised_speed: float = 0.0
    tracking_error_rad_rms: float = 0.0
    handover_jumps_rad: tuple[float, ...] = ()
    backward_steps_rad: tuple[float, ...] = ()
    binding_limits: Mapping[str, int] = field(default_factory=dict)
    fallbacks: int = 0
    refused: int = 0
    saturated: int = 0
    trouble: str = ""
    commanded_speed: float = 0.0

    @property
    def success(self) -> bool:
        return self.success_step is not None

    def to_dict(self) -> dict[str, Any]:
        values = {**dataclasses.asdict(self), "success": self.success}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpisodeSample:
        kept: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        kept.pop("success", None)
        return cls(**kept)


class SampleFile:
    """One JSON object a line: first the configuration, then a sample an episode, appended as episodes end.

    The file appears with the first sample. An interrupted run continues where it stopped; a line cut short by the
    interruption is dropped. Several processes may append to the same file: each line is written under a lock.
    Raises ConfigError if the file has samples of another configuration.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._config = json.loads(json.dumps(config))  # as it reads back
        self._samples: dict[int, EpisodeSample] = {}
        if self.path.exists():
            self._read()

    def missing(self, seeds: Iterable[int]) -> list[int]:
        """The seeds without a sample yet."""
        return [seed for seed in seeds if seed not in self._samples]

    def samples(self, seeds: Iterable[int]) -> list[EpisodeSample]:
        """The samples of `seeds`, in their order; those not run yet are left out."""
        return [self._samples[seed] for seed in seeds if seed in self._samples]

    def append(self, sample: EpisodeSample) -> None:
        """Keep a sample, on disk before this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
            header = [] if _has_samples(file) else [{"config": self._config}]
            file.write("".join(json.dumps(line) + "\n" for line in (*header, sample.to_dict())).encode())
        self._samples[sample.seed] = sample

    def _read(self) -> None:
        lines = self.path.read_text().rpartition("\n")[0].splitlines()
        if not lines:
            return
        try:
            header, *rows = [json.loads(line) for line in lines]
            if rows:
                self._check(header["config"])
            self._samples = {row["seed"]: EpisodeSample.from_dict(row) for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path}: expected a configuration and then one sample a line: {error}") from error

    def _check(self, found: Mapping[str, Any]) -> None:
        keys = {*found, *self._config}
        differ = sorted(key for key in keys if found.get(key) != self._config.get(key))
        if differ:
            words = "; ".join(f"{key}: {found.get(key)!r} there, {self._config.get(key)!r} asked" for key in differ)
            raise ConfigError(f"{self.path} holds another evaluation ({words}): name another file, or remove it")


def _has_samples(file: IO[bytes]) -> bool:
    """Whether more than a configuration is there, once a last line without its end is removed."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return False
    file.seek(-1, os.SEEK_END)
    whole = file.read() == b"\n"
    file.seek(0)
    if whole and file.readline() and file.tell() < end:
        return True  # the usual case, without reading all of it
    file.seek(0)
    lines = [line for line in file.readlines() if line.endswith(b"\n")]
    file.truncate(sum(map(len, lines)) if len(lines) > 1 else 0)
    return len(lines) > 1
