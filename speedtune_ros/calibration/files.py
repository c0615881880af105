"""The files a calibration leaves: ROS parameters for arm driver and retimer, raw samples, and the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speedtune_ros.aloha import JOINT_NAMES, SIDES
from speedtune_ros.calibration.findings import Findings
from speedtune_ros.errors import DataError
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed
from speedtune_ros.robots.robot import Limits

LIMITS, DELAY, GRIPPER = "limits.yaml", "delay.yaml", "gripper.yaml"
RAW, PAGE = "calibration.json", "page.html"
_FILES = (LIMITS, DELAY, GRIPPER, RAW, PAGE)
_HEADS = {
    LIMITS: "Velocity limits of joints found not to reach their profile's: for arm_driver (motion guard) and retimer.",
    DELAY: "Measured lag of the arms, and what delays a decision: for the retimer's hand-over and latency ceiling.",
    GRIPPER: "How far the grippers go: [finger closed, open (m), motor closed, open (rad)], for arm_driver.",
}


def prepare(folder: Path) -> None:
    """Make the folder of a calibration. Raises DataError if one lies there already: none is overwritten."""
    found = [name for name in _FILES if (folder / name).exists()]
    if found:
        raise DataError(f"{folder}: {', '.join(found)} lies there already; a calibration is never overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}") from error


def limit_parameters(findings: Findings, limits: Limits) -> dict[str, Any]:
    """The measured velocity limits by node: of capped joints alone, never above `limits`, which are the profile's."""
    caps = findings.caps
    velocity = {joint: min(cap, float(limits.velocity[JOINT_NAMES.index(joint)])) for joint, cap in caps.items()}
    rounded = {joint: math.floor(most * 1e4) / 1e4 for joint, most in velocity.items()}
    # One empty name stands for none: ROS cannot tell the type of an empty list.
    measured = MeasuredLimits()
    if rounded:
        measured = MeasuredLimits(findings.profile, tuple(rounded), tuple(rounded.values()))
    narrowed(limits, measured, findings.profile)
    values = {
        "profile": measured.profile,
        "joints": list(measured.joints),
        "velocity": list(measured.velocity),
    }
    return {node: {"limits": values} for node in ("arm_driver", "retimer")}


def delay_parameters(findings: Findings) -> dict[str, Any]:
    """Lag and delay budget of the retimer."""
    budget = findings.budget
    if budget is None:
        raise DataError(f"a calibration of {findings.target} has no delay budget")
    retimer: dict[str, Any] = {
        "scheduler": {"latency": round(budget.latency, 4), "image_age": round(budget.image_age, 4)}
    }
    if budget.lag is not None:
        retimer["lag_s"] = round(budget.lag, 4)
    return {"retimer": retimer}


def gripper_parameters(findings: Findings) -> dict[str, Any]:
    """The travel of each gripper measured."""
    travels = {
        side: [round(value, 5) for value in (*findings.grippers[side].finger, *findings.grippers[side].motor)]
        for side in SIDES
        if side in findings.grippers
    }
    return {"arm_driver": {"interbotix": {"travel": travels}}}


def write(folder: Path, name: str, parameters: Mapping[str, Any]) -> Path:
    """A ROS parameter file of parameters by node."""
    blocks = {node: {"ros__parameters": values} for node, values in parameters.items()}
    path = folder / name
    path.write_text(f"# {_HEADS[name]}\n{yaml.safe_dump(blocks, sort_keys=False)}", encoding="utf-8")
    return path


def write_raw(folder: Path, findings: Findings, facts: Mapping[str, str]) -> Path:
    """Everything found with its raw samples, so that anyone can estimate anew."""
    path = folder / RAW
    path.write_text(json.dumps({"facts": dict(facts), **findings.to_dict()}), encoding="utf-8")
    return path
