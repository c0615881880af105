"""What every training keeps in its folder beside the state: its configuration, and a log it can go back in."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from speedtune_ros import config as configuration
from speedtune_ros.data.checkpoint_folder import replace_file
from speedtune_ros.errors import ConfigError, DataError


def begin_run(folder: Path, config: Any, resume: bool, free: Collection[str] = ()) -> None:
    """Make `folder` the run's of `config`, or make sure it is. Raises as `check_run`."""
    check_run(folder, config, resume, free)
    folder.mkdir(parents=True, exist_ok=True)
    configuration.dump(config, folder / "config.yaml")


def check_run(folder: Path, config: Any, resume: bool, free: Collection[str] = ()) -> None:
    """Make sure that `folder` may be the run's of `config`; keys in `free` may change on the way.

    Raises DataError if it holds a run already and is not to be resumed, ConfigError if that has other settings.
    """
    path = folder / "config.yaml"
    if resume and path.exists():
        before, now = (configuration.to_dict(c) for c in (configuration.load(type(config), path), config))
        changed = [
            f"{key} was {before[key]}, now {now[key]}" for key in now if before[key] != now[key] and key not in free
        ]
        if changed:
            raise ConfigError(f"{folder}: a run is resumed with its own settings; {'; '.join(changed)}")
    elif path.exists():
        raise DataError(f"{folder}: holds a training run already; continue it with --resume or choose another folder")
    elif resume:
        raise DataError(f"{folder}: no training run to resume")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that a crash cut short is left out. Raises DataError for any other one."""
    rows, lines = [], path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise DataError(f"{path}, line {number}: expected a JSON object: {error}") from error
    return rows


class RunLog:
    """One JSON object a line; lines whose `key` lies beyond `last`, the point resumed from, are dropped."""

    def __init__(self, path: Path, key: str, last: float) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = [row for row in read_log(path) if row[key] <= last]
        replace_file(path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())

    def add(self, **values: Any) -> None:
        self.rows.append(values)
        with self._path.open("a") as file:
            file.write(json.dumps(values) + "\n")
