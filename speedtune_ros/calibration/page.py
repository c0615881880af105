"""One self-contained HTML page about a calibration: what was found, and the curves it was found from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from speedtune_ros.calibration.findings import COLUMNS, Findings, JointFound
from speedtune_ros.calibration.motion import Kind
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import even, gain_of
from speedtune_ros.report.figures import BLUE, GREEN, ORANGE, STYLE, VERMILION, svg
from speedtune_ros.report.page import document, facts_list, table

_GREY = "#8a919c"


def calibration_page(findings: Findings, facts: Mapping[str, str]) -> str:
    """The page: tables, then figures joint by joint."""
    parts = [_joints(findings), _grippers(findings), _cameras(findings), _budget(findings)]
    lead = "Sent against reached, one joint at a time, and what follows from it."
    body = "\n".join(part for part in parts if part)
    return document(f"Calibration: {findings.target}", lead, f"{body}\n<h2>What ran</h2>\n{facts_list(facts)}")


def _joints(findings: Findings) -> str:
    if not findings.joints:
        return ""
    sections = [_figure(found.joint, joint_figure(findings, found)) for found in findings.joints]
    return "\n".join((table(COLUMNS, findings.rows()), "<h2>Joints</h2>", *sections))


def _grippers(findings: Findings) -> str:
    if not findings.grippers:
        return ""
    rows = [
        (
            side,
            *(f"{1e3 * end:.1f} mm" for end in travel.finger),
            *(f"{end:.3f} rad" for end in travel.motor),
            f"{1e3 * travel.span:.1f} mm",
        )
        for side, travel in findings.grippers.items()
    ]
    head = ("Gripper", "Finger closed", "Finger open", "Motor closed", "Motor open", "Travel")
    recordings = [recording for recording in findings.recordings if recording.motion.kind is Kind.TRAVEL]
    sections = [_figure(recording.motion.joint, travel_figure(recording)) for recording in recordings]
    return "\n".join((table(head, rows), "<h2>Grippers</h2>", *sections))


def _cameras(findings: Findings) -> str:
    if not findings.sights:
        return ""
    rows = [
        (
            sight.camera,
            f"{1e3 * sight.age:.0f} ms",
            f"{1e3 * sight.stamped:.0f} ms",
            f"{1.0 / sight.period:.1f} Hz",
            f"{1e3 * sight.worst:.0f} ms",
            f"{sight.clarity:.0f}",
        )
        for sight in findings.sights
    ]
    head = ("Camera", "Seen to arrival", "Seen to stamp", "Rate", "Age at worst", "Clarity of the swing")
    return f"<h2>Cameras</h2>\n{table(head, rows)}"


def _budget(findings: Findings) -> str:
    budget = findings.budget
    if budget is None:
        return ""
    parts = {
        "joint state, stamp to arrival (90th percentile)": budget.state_age,
        "inference, as given": budget.inference,
        "latency: those and one control tick": budget.latency,
        "images, at worst": budget.image_age,
    }
    if budget.lag is not None:
        parts["arms trail their command by"] = budget.lag
    rows = [(name, f"{1e3 * value:.0f} ms") for name, value in parts.items()]
    return f"<h2>Delay budget</h2>\n{table(('Part', 'Time'), rows)}"


def _figure(name: str, figure: Figure) -> str:
    drawing = svg(figure, f"{name} over time")
    return f'<section class="run"><h3>{name}</h3>\n<div class="figure">{drawing}</div></section>'


def joint_figure(findings: Findings, found: JointFound) -> Figure:
    """Sent, reached and modelled positions of each motion, and the gains of the tones."""
    own = [recording for recording in findings.recordings if recording.motion.joint == found.joint]
    tones = [recording for recording in own if recording.motion.kind is Kind.TONE]
    fastest = max(own, key=lambda recording: recording.motion.peak_rate)
    shown = [*tones, *([fastest] if fastest.motion.kind is Kind.STROKE else [])]
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 2.1 * len(shown) + 2.6), layout="constrained")
        *rows, last = figure.subplots(len(shown) + 1, 1)
        for axes, recording in zip(rows, shown):
            cap = found.speed.cap if found.speed is not None and recording is fastest else np.inf
            _motion(axes, recording, found, cap)
        rows[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1, fontsize=9)
        _gains(last, tones, found)
    return figure


def _motion(axes, recording: Recording, found: JointFound, cap: float) -> None:  # type: ignore[no-untyped-def]
    times, sent = even(recording)
    modelled = found.response.simulate(times, sent, cap)
    offset = float(np.mean(recording.position - np.interp(recording.times, times, modelled)))
    axes.plot(times, sent, color=_GREY, ls="--", lw=1.2, label="sent")
    axes.plot(times, modelled + offset, color=ORANGE, lw=1.2, label="model")
    axes.plot(recording.times, recording.position, color=BLUE, lw=1.4, label="reached")
    motion = recording.motion
    what = f"{motion.frequency_hz:g} Hz" if motion.frequency_hz else f"{motion.peak_rate:.2f} rad/s"
    axes.set(xlabel="time [s]", ylabel="position [rad]", title=f"{motion.kind.value}, {what}")


def _gains(axes, tones: list[Recording], found: JointFound) -> None:  # type: ignore[no-untyped-def]
    gains = [gain_of(recording) for recording in tones]
    hertz = np.array([gain.omega for gain in gains]) / (2.0 * np.pi)
    late = np.array([-np.angle(gain.value) % (2.0 * np.pi) / gain.omega for gain in gains])
    grid = np.linspace(0.2, hertz.max() * 1.1, 100)
    model = found.response.at(2.0 * np.pi * grid)
    axes.plot(grid, -1e3 * np.unwrap(np.angle(model)) / (2.0 * np.pi * grid), color=GREEN, label="model")
    axes.plot(hertz, 1e3 * late, "o", color=VERMILION, label="measured")
    axes.set(xlabel="frequency [Hz]", ylabel="delay [ms]", ylim=(0.0, None), title="Delay of sinusoids")
    axes.legend(loc="lower left", fontsize=9)


def travel_figure(recording: Recording) -> Figure:
    """The finger's position under the motor's command."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 3.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(recording.times, recording.sent(recording.times), color=_GREY, ls="--", lw=1.2)
        upper.set(ylabel="sent (1 = open)")
        lower.plot(recording.times, 1e3 * recording.finger, color=BLUE)
        lower.set(xlabel="time [s]", ylabel="finger [mm]")
    return figure
