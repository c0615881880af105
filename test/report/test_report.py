from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.report import figures
from speedtune_ros.report.page import page
from speedtune_ros.report.runs import Frame, ReportRun
from speedtune_ros.report.summary import summarise, table_text
from speedtune_ros.report.video import FPS, annotate, annotated, encode_mp4, encode_webp, video_element

TICKS = 50


def make_run(mode: str = "constant:2", duration: float = 0.8, success: bool = True, frames: bool = True) -> ReportRun:
    """One second at twice the speed, after one still tick; a frame every other tick, each redder than the last."""
    times = 0.02 * np.arange(TICKS)
    speed = np.full(TICKS, 2.0)
    speed[0] = 0.0
    images = [Frame(t, np.full((48, 64, 3), (5 * i, 0, 0), np.uint8)) for i, t in enumerate(times[::2])]
    return ReportRun(
        title="Scene <7>",
        mode=mode,
        seed=7,
        success=success,
        duration=duration,
        reason="success" if success else "time_limit",
        times=times,
        commands=np.zeros((TICKS, 14)),
        reached=np.full((TICKS, 14), 0.01),
        progress=np.cumsum(speed) * 0.02,
        speed=speed,
        ceiling=np.full(TICKS, 2.0),
        reward=np.zeros(TICKS),
        frames=tuple(images) if frames else (),
        latencies={"inference": np.linspace(0.004, 0.006, 9)},
        periods=np.full(TICKS - 1, 0.02),
        binding_limits={"policy": 4},
    )


class Elements(HTMLParser):
    """Every element of a page with its attributes; checks that tags are closed in order."""

    VOID = ("meta", "img", "link", "br", "path", "use", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag


def test_the_page_fetches_nothing_and_shows_every_run() -> None:
    runs = [make_run("constant:1", 0.9), make_run(), make_run(success=False)]
    text = page("A & B", {"policy": "<expert>"}, summarise(runs), runs)
    elements = Elements(text)
    assert not elements.stack
    tags = [tag for tag, _ in elements.found]
    assert tags.count("video") == 3
    assert tags.count("svg") == 2 * 3 + 2  # of each run, speed over progress, timing
    assert not {"script", "link", "iframe", "base"} & set(tags)
    for _, attributes in elements.found:
        for name in ("src", "href", "xlink:href", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", text)
    assert "A &amp; B" in text
    assert "&lt;expert&gt;" in text
    assert "Scene &lt;7&gt;" in text
    assert "ended: time_limit" in text


def test_runs_are_summed_up_by_mode() -> None:
    runs = [make_run("constant:1", 0.8), make_run(duration=0.4), make_run(duration=1.0, success=False)]
    demonstrations = [EpisodeSample(7, 60, 60)]
    slow, fast = summarise(runs, demonstrations)
    assert (slow.mode, slow.episodes, slow.successes, slow.acceleration) == ("constant:1", 1, 1, 1.0)
    assert (fast.episodes, fast.successes, fast.duration) == (2, 1, pytest.approx(0.4))
    assert fast.acceleration == pytest.approx(2.0)  # .8 / .4
    assert fast.demo_speedup == pytest.approx(3.0)  # 60 * .02 / .4
    assert fast.realised_speed == pytest.approx((2.0 * 19 / 20 + 2.0 * 49 / 50) / 2)  # the still tick counts
    assert math.isnan(summarise(runs[1:])[0].acceleration)  # nothing ran at demonstrated speed
    lines = table_text([slow, fast]).splitlines()
    assert lines[0].split("  ")[0] == "Speed mode"
    assert "1 of 2" in lines[3]
    assert "3.00×" in lines[3]


def test_an_empty_page_says_so() -> None:
    text = page("Nothing", {}, [], [])
    assert "No episode was run." in text
    assert "No timing was recorded." in text
    assert "No camera images were recorded." in page("x", {}, [], [make_run(frames=False)])


def test_a_run_of_uneven_length_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="expected 50 ticks of speed, got 3"):
        replace(make_run(), speed=np.zeros(3))


def test_frames_follow_the_clock_and_carry_the_speed() -> None:
    frames = list(annotated(make_run()))
    assert len(frames) == int(0.98 * FPS) + 1
    # Twice the frame rate of the camera: the frame shown at 0.48 s is the camera's 12th.
    assert frames[12][40, 60].tolist() == [60, 0, 0]
    still = annotate(np.zeros((48, 64, 3), np.uint8), 0.0, 0.0, 0.0)
    half = annotate(np.zeros((48, 64, 3), np.uint8), 2.0, 0.5, 0.5)
    assert (still[5:20, 5:60] != half[5:20, 5:60]).any()  # the text differs
    bar = half[-1].astype(int)
    assert np.abs(bar[:30] - bar[0]).max() <= 1 < np.abs(bar[40] - bar[0]).max()  # full up to the middle


def test_videos_are_h264_for_browsers_and_webp_without_ffmpeg() -> None:
    data = encode_mp4(make_run())
    assert b"ftyp" in data[:32]
    assert b"avc1" in data  # H.264
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded whole
    image = Image.open(io.BytesIO(encode_webp(make_run())))
    assert image.size == (64, 48)
    assert getattr(image, "n_frames", 1) == 25


def test_figures_are_repeatable_and_name_their_axes() -> None:
    first, second = (figures.svg(figures.timeline_figure(make_run()), "label") for _ in range(2))
    assert first == second
    for words in ('aria-label="label"', "time [s]", "first success", "speed [×]"):
        assert words in first
    assert "first success" not in figures.svg(figures.timeline_figure(make_run(success=False)), "x")
    joints = figures.svg(figures.joints_figure(make_run()), "x")
    assert "left waist [rad]" in joints
    assert "right gripper [0 to 1]" in joints
    histograms = figures.svg(figures.histograms_figure({"inference": np.full(9, 0.005)}, np.empty(0)), "x")
    assert "p50 5.00" in histograms
    assert "no samples" in histograms


def test_the_sweep_figure_shows_bands_against_realised_speed() -> None:
    rows = [
        {"realised_speed_mean": 2.9, "success_rate": 0.5, "wilson_low": 0.3, "wilson_high": 0.7},
        {"realised_speed_mean": 1.0, "success_rate": 1.0, "wilson_low": 0.9, "wilson_high": 1.0},
    ]
    axes = figures.sweep_figure({"expert": rows, "act": rows[:1]}).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [1.0, 2.9]
    assert len(axes.collections) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["expert", "act"]


@pytest.mark.slow
def test_a_browser_lays_the_page_out_and_plays_the_video(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    probe = """<script>addEventListener("load", () => { const v = document.querySelector("video");
    const say = () => document.body.dataset.seen = [v.videoWidth, v.videoHeight, v.duration.toFixed(2),
      document.documentElement.scrollWidth <= innerWidth].join(" ");
    if (v.readyState > 0) say(); else v.addEventListener("loadedmetadata", say); });</script>"""
    run = make_run()
    assert "data:video/mp4" in video_element(run)
    path = tmp_path / "index.html"
    path.write_text(page("x", {}, summarise([run]), [run]).replace("</body>", probe + "</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--dump-dom"]
    output = subprocess.run(
        [*command, f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=10000", path.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert 'data-seen="64 48 1.00 true"' in output
