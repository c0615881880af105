"""`speedtune calibrate`: what one pair of arms can do and how late it is, measured on a running graph."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros import config as configuration

if TYPE_CHECKING:
    from speedtune_ros.calibration.findings import Findings
    from speedtune_ros.calibration.motion import Motion
    from speedtune_ros.calibration.procedure import Calibration
    from speedtune_ros.nodes.calibration_client import CalibrationClient

HELP = "measure what these arms reach and how late they are: small motions of one joint at a time, on a running graph"

_TARGETS = {
    "limits": "reachable velocity and acceleration, friction, lag of joints; writes limits.yaml for guard and retimer",
    "delay": "lag of joints and age of camera images; writes delay.yaml for the retimer's latency ceiling",
    "gripper": "how far the grippers really go; writes gripper.yaml for the arm driver",
}
_MORE = """Start the graph first (`speedtune up --robot real`, or with --xs-sim), clear the table, keep a hand on the
stop. It says what will move, how far and how fast, and asks before anything does. Any stop or fault ends it and the
arms hold."""


def configure(parser: argparse.ArgumentParser) -> None:
    from speedtune_ros.calibration.plan import MotionConfig

    subparsers = parser.add_subparsers(dest="target", metavar="WHAT", required=True)
    for name, words in _TARGETS.items():
        target = subparsers.add_parser(name, help=words, description=f"Measure {words}. {_MORE}")
        target.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the files go")
        target.add_argument("--yes", action="store_true", help="move without asking, for scripts")
        target.add_argument(
            "--patience", type=float, default=60.0, metavar="S", help="longest wait for the graph [s] (default: 60)"
        )
        if name == "gripper":
            target.add_argument(
                "--sides", default="left,right", help="comma-separated: left, right (default: left,right)"
            )
        else:
            _add_joints(target)
        if name == "delay":
            _add_delay(target)
        for option, _, field in configuration.leaves(MotionConfig):
            if (option == "gripper_speed") == (name == "gripper"):
                flag, words = f"--{option.replace('_', '-')}", f"{field.metadata['doc']} (default: {field.default:g})"
                target.add_argument(flag, type=float, default=field.default, metavar="X", help=words)


def _add_joints(parser: argparse.ArgumentParser) -> None:
    words = "comma-separated joints, or sides or kinds of joint: left_waist, left, elbow (default: left,right)"
    parser.add_argument("--joints", default="left,right", help=words)
    parser.add_argument("--here", action="store_true", help="about where the arms are, not about the start pose")


def _add_delay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cameras", default="", help="comma-separated cameras that see the arm swing (default: none)")
    words = "what the task policy takes for a chunk [s], as `speedtune bench inference` says (default: 0)"
    parser.add_argument("--inference", type=float, default=0.0, metavar="S", help=words)


def run(args: argparse.Namespace) -> int:
    """0, or 1 if somebody says no. Raises SpeedtuneError if the arms stop, fail or are not free."""
    from speedtune_ros.calibration import files
    from speedtune_ros.calibration.plan import MotionConfig, joints
    from speedtune_ros.calibration.procedure import Calibration
    from speedtune_ros.nodes.calibration_client import CalibrationClient

    given = {name: getattr(args, name) for name, _, _ in configuration.leaves(MotionConfig) if hasattr(args, name)}
    motion = configuration.build(MotionConfig, given, "speedtune calibrate")
    names = _grippers(args.sides) if args.target == "gripper" else joints(_listed(args.joints))
    files.prepare(args.out)
    with CalibrationClient(patience_s=args.patience) as arms:
        arms.join()
        calibration = Calibration(arms, motion, _say, not getattr(args, "here", False))
        cameras = _listed(getattr(args, "cameras", ""))
        arms.watch(cameras)
        if not _confirmed(args, calibration.plan(args.target, names)):
            print("nothing was moved")
            return 1
        arms.begin()
        findings = _measure(args, calibration, names, cameras)
        paths = _write(args, findings, arms, configuration.to_dict(motion))
    _print(findings, paths)
    return 0


def _measure(
    args: argparse.Namespace, calibration: Calibration, names: Sequence[str], cameras: Sequence[str]
) -> Findings:
    if args.target == "limits":
        return calibration.limits(names)
    if args.target == "delay":
        return calibration.delay(names, cameras, args.inference)
    return calibration.gripper([name.split("_")[0] for name in names])


def _confirmed(args: argparse.Namespace, plan: Mapping[str, Sequence[Motion]]) -> bool:
    """Say what is about to happen; whether somebody agrees. Raises ConfigError if nobody can be asked."""
    from speedtune_ros.calibration.plan import describe
    from speedtune_ros.errors import ConfigError

    print("This will move, one joint at a time:")
    if args.target != "gripper" and not args.here:
        print(f"  each arm named below, first, slowly to the start pose ({args.move_speed:g} rad/s)")
    for joint, motions in plan.items():
        print(f"  {describe(joint, motions)}")
    if args.target == "gripper":
        print("  Nothing may be in the grippers.")
    sys.stdout.flush()
    if args.yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("calibrate: nobody can be asked here; to move the arms without asking, give --yes")
    return input("Move them now? [y/N] ").strip().lower() in ("y", "yes")


def _write(
    args: argparse.Namespace, findings: Findings, arms: CalibrationClient, motion: Mapping[str, Any]
) -> list[Path]:
    from speedtune_ros.calibration import files
    from speedtune_ros.calibration.page import calibration_page
    from speedtune_ros.report.write import machine
    from speedtune_ros.robots.profiles import make_profile

    facts = {
        "profile": findings.profile,
        "measured": time.strftime("%Y-%m-%d %H:%M:%S"),
        "driver": f"{arms.rate_hz:g} commands a second",
        "motions": ", ".join(f"{key} {value:g}" for key, value in motion.items()),
        **machine(),
    }
    if args.target == "limits":
        name, parameters = files.LIMITS, files.limit_parameters(findings, make_profile(findings.profile).limits)
    elif args.target == "delay":
        name, parameters = files.DELAY, files.delay_parameters(findings)
    else:
        name, parameters = files.GRIPPER, files.gripper_parameters(findings)
    paths = [files.write(args.out, name, parameters), files.write_raw(args.out, findings, facts)]
    page = args.out / files.PAGE
    page.write_text(calibration_page(findings, facts), encoding="utf-8")
    return [*paths, page]


def _print(findings: Findings, paths: Sequence[Path]) -> None:
    from speedtune_ros.calibration.findings import COLUMNS

    for row in findings.rows():
        print("  ".join(f"{name} {text}" for name, text in zip(COLUMNS, row) if text != "–"))
    for side, travel in findings.grippers.items():
        closed, opened = (1e3 * end for end in travel.finger)
        print(f"{side} gripper: finger {closed:.1f} mm closed to {opened:.1f} mm open")
    for sight in findings.sights:
        print(f"camera {sight.camera}: {1e3 * sight.age:.0f} ms old on arrival, {1e3 * sight.worst:.0f} ms at worst")
    if findings.budget is not None:
        budget = findings.budget
        print(f"latency {1e3 * budget.latency:.0f} ms, images {1e3 * budget.image_age:.0f} ms")
    print(f"use it: give the graph --params {paths[0]} (params:={paths[0]} to a launch file)")
    print("written: " + ", ".join(map(str, paths)))


def _grippers(text: str) -> list[str]:
    from speedtune_ros.aloha import SIDES
    from speedtune_ros.errors import UnknownNameError

    sides = _listed(text)
    for side in sides:
        if side not in SIDES:
            raise UnknownNameError("side", side, SIDES)
    return [f"{side}_gripper" for side in SIDES if side in sides]


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _say(text: str) -> None:
    print(f"  {time.strftime('%H:%M:%S')} {text}", flush=True)
