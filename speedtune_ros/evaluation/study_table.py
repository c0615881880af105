"""Results of studies as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

FIGURES = {
    "success": lambda row: f"{row['success_rate']:.3f} [{row['wilson_low']:.3f}, {row['wilson_high']:.3f}]",
    "`acceleration`": lambda row: _number(row["acceleration"]),
    "`demo_speedup`": lambda row: _number(row["demo_speedup"]),
    "realised speed": lambda row: _number(row["realised_speed_mean"]),
    "`successes_per_minute`": lambda row: _number(row["successes_per_minute"]),
}


def ablation_table(rows: Sequence[Row]) -> str:
    """A row each, under its group; training seeds beside the name where there are several."""
    several = len({row["seed_of_training"] for row in rows}) > 1
    return _table(["ablation", "variant"], [([row["group"], _name(row, several)], row) for row in rows])


def efficiency_table(rows: Sequence[Row]) -> str:
    """A row for each number of decisions and training seed."""
    ordered = sorted(rows, key=lambda row: (row["decisions"], row["seed_of_training"]))
    cells = [([f"{row['decisions']:,}", str(row["seed_of_training"])], row) for row in ordered]
    return _table(["decisions", "training seed"], cells)


def _table(headings: Sequence[str], rows: Iterable[tuple[Sequence[str], Row]]) -> str:
    head = [*headings, *FIGURES]
    body = [[*words, *(figure(row) for figure in FIGURES.values())] for words, row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _name(row: Row, several: bool) -> str:
    name = f"**{row['name']}**" if row["reference"] else str(row["name"])
    return f"{name}, seed {row['seed_of_training']}" if several else name


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
