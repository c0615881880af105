"""Results on disk, read back: evaluations, sweeps and studies, by label and task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from speedtune_ros.errors import DataError

Row = Mapping[str, Any]
NEEDED = ("task", "policy", "speed", "success_rate", "wilson_low", "wilson_high", "acceleration")
LISTS = ("evaluations", "ablations")


def read_rows(path: Path) -> list[Row]:
    """The evaluations of a file of `speedtune eval`, `sweep` or `ablate`, or of a sweep's folder. Raises DataError."""
    file = path / "sweep.json" if path.is_dir() or not path.suffix else path
    try:
        content = json.loads(file.read_text())
        rows = next((content[key] for key in LISTS if key in content), [content])
        missing = sorted({key for row in rows for key in NEEDED if key not in row})
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: expected results of `speedtune eval`, `sweep` or `ablate`, no {file.name} there"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file}: expected what `speedtune eval`, `sweep` or `ablate` writes: {error}") from error
    if missing or not rows:
        words = f"evaluations with {', '.join(missing)}" if missing else "at least one evaluation"
        raise DataError(f"{file}: expected what `speedtune eval`, `sweep` or `ablate` writes, {words}")
    return list(rows)


def read_labelled(texts: Iterable[str]) -> list[tuple[str, Row]]:
    """The evaluations of each `[LABEL=]PATH`, with the label or the policy's name and speed mode."""
    found = []
    for text in texts:
        label, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            label, path = "", text
        found += [(label or default_label(row), row) for row in read_rows(Path(path))]
    return found


def kind(row: Row) -> str:
    """`constant`, `phase`, `rainbow`: how the speed was chosen."""
    return str(row["speed"]).partition(":")[0]


def default_label(row: Row) -> str:
    """Who is evaluated: the task policy, and how its speed is chosen where that is not constant."""
    policy = "expert" if row["policy"] == "expert" else Path(row["policy"]).name.upper()
    how = {"constant": "constant speed", "phase": "phase table"}.get(kind(row), "learned speed")
    return f"{policy}, {how}"
