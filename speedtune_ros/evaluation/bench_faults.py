"""The fault matrix by one command: every fault in turn during motion, and whether the arms hold as they should."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from speedtune_ros import graph
from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.fault_judgement import Observed, passes
from speedtune_ros.evaluation.fault_matrix import Fault, chosen
from speedtune_ros.evaluation.fault_rig import FaultRig
from speedtune_ros.evaluation.isolation import isolation

if TYPE_CHECKING:
    from speedtune_ros.nodes.fault_row import FaultRow

HELP = "every fault in turn during motion, on simulated Interbotix arms: what the arms do, and how soon"

_FLOOR = "one control period: a hold that is decided at once is sent with the next command"
_PEER = (
    "DDS' automatic liveliness with a lease of 100 ms, which notices a killed process in 70 to 96 ms, and takes a "
    "quarter of a core for seven processes that assert it to each other"
)
_ATTEMPTS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a fault, a node, or the first word of faults, as kill; may be repeated (default: all)",
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="each so often (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=2.0, help="commanded speed (default: %(default)s)")
    parser.add_argument(
        "--bags", type=Path, metavar="FOLDER", help="where the bags go (default: runs/faults-<time of day>)"
    )


@dataclass(frozen=True)
class Plan:
    """What is to be done: the rows in order, where their bags go, and who is told of each that is done."""

    rows: Sequence[tuple[Fault, int]]
    bags: Path
    speed: float
    save: Callable[[list[dict[str, Any]]], None]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every row of the matrix; written to --json as it goes."""
    if arguments.repeat < 1:
        raise ConfigError(f"--repeat: expected at least 1, got {arguments.repeat}")
    rows = [(fault, number) for fault in chosen(arguments.only) for number in range(arguments.repeat)]
    bags = (arguments.bags or Path(time.strftime("runs/faults-%Y-%m-%d_%H-%M-%S"))).resolve()
    bags.mkdir(parents=True, exist_ok=True)

    def save(found: list[dict[str, Any]]) -> None:
        if arguments.json is not None:
            arguments.json.write_text(json.dumps({"bench": "faults", "faults": found}, indent=1) + "\n")

    os.environ.update({**isolation(os.environ), **graph.environment(os.environ)})
    faults = _measure(Plan(rows, bags, arguments.speed, save))
    return _figures(faults)


def _measure(plan: Plan) -> list[dict[str, Any]]:
    from speedtune_ros.nodes.fault_row import FaultRow

    found: list[dict[str, Any]] = []
    with (plan.bags / "graph.log").open("w") as log:
        rig = FaultRig(log, plan.speed)
        try:
            rig.start()
            with FaultRow(rig, plan.speed) as row:
                for fault, number in tqdm(plan.rows, desc="faults", unit="fault"):
                    found.append(_row(row, fault, number, plan.bags))
                    plan.save(found)
        finally:
            rig.stop()
    return found


def _row(row: FaultRow, fault: Fault, number: int, bags: Path) -> dict[str, Any]:
    """One row of the result. A fault that could not be caused in motion, as on a busy machine, is tried again."""
    name = fault.name.replace(" ", "_").replace("'", "")
    trouble = ""
    for attempt in range(1, _ATTEMPTS + 1):
        bag = bags / f"{name}-{number}-{attempt}"
        observed, resumed, trouble = row.run(fault, bag)
        if observed is not None:
            return _entry(fault, number, observed, resumed, trouble, attempt, bag)
    return {**_entry(fault, number, None, False, trouble, _ATTEMPTS, bag), "observed": f"not caused: {trouble}"}


def _entry(
    fault: Fault, number: int, observed: Observed | None, resumed: bool, trouble: str, attempts: int, bag: Path
) -> dict[str, Any]:
    seen = observed or Observed("", "", "", None, None, None)
    return {
        "fault": fault.name,
        "node": fault.node,
        "run": number,
        "expected": str(fault.expected),
        "observed": str(seen),
        "passed": observed is not None and passes(seen, fault.expected) and resumed,
        "hold_ms": _rounded(seen.hold_ms),
        "hold_limit_ms": fault.expected.within_ms,
        "noticed_ms": _rounded(seen.noticed_ms),
        "rest_ms": _rounded(seen.rest_ms),
        "ends": seen.ends,
        "resumed": resumed,
        "trouble": trouble,
        "attempts": attempts,
        "bag": str(bag),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _figures(faults: list[dict[str, Any]]) -> dict[str, Any]:
    failed = [f"{row['fault']}: {row['observed']}, hold {row['hold_ms']} ms" for row in faults if not row["passed"]]
    held = {row["fault"]: [] for row in faults}  # type: dict[str, list[float]]
    for row in faults:
        held[row["fault"]] += [row["hold_ms"]] if row["hold_ms"] is not None else []
    return {
        "rows": len(faults),
        "passed": len(faults) - len(failed),
        "failed": failed or "none",
        "hold_ms_largest": {name: max(values) for name, values in held.items() if values},
        "floor": _FLOOR,
        "floor_ms": CONTROL_DT * 1e3,
        "peer": _PEER,
        "load_average": os.getloadavg()[0],
        "faults": faults,
        "samples": {"hold_ms": held},
    }
