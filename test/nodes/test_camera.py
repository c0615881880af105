"""The camera node on a video file, a folder of images, and a source that comes late."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.images import decode

pytestmark = pytest.mark.ros


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), (200, 20 * i, 0), np.uint8))  # blue, and a green that tells the frame
    writer.release()


def test_video_file_loops_at_its_rate(graph, client, tmp_path):
    write_video(tmp_path / "clip.avi", 10)
    topic = "camera/clip/image_raw"
    client.hear(topic, "/diagnostics")
    before = time.time_ns()
    graph.start("camera", "camera_clip", name="clip", source=tmp_path / "clip.avi", rate_hz=20.0)
    client.until(lambda: client.counted("camera_clip", "published") >= 40, "two rounds of the clip")
    graph.processes["camera_clip"].terminate()
    assert graph.wait("camera_clip") == 0
    frames = client.heard[topic]
    image = decode(frames[5])
    assert image.shape == (48, 64, 3) and abs(int(image[0, 0, 2]) - 200) < 12 and image[0, 0, 0] < 12
    stamps = np.array([to_ns(frame.header.stamp) for frame in frames])
    assert before < stamps[0] < stamps[-1] < time.time_ns()
    assert np.median(np.diff(stamps)) == pytest.approx(5e7, rel=0.2)
    greens = [int(decode(frame)[0, 0, 1]) for frame in frames]
    assert max(greens) > 150 and greens[-1] != greens[0] or len(set(greens)) > 5


def test_folder_of_images_resized(graph, client, tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((96, 128, 3), (0, 0, 50 * i), np.uint8))
    topic = "camera/folder/image_raw"
    client.hear(topic)
    graph.start("camera", "camera_folder", name="folder", source=tmp_path, width=64, height=48)
    client.until(lambda: len(client.heard[topic]) >= 6, "frames")
    assert client.heard[topic][0].header.frame_id == "folder"
    assert decode(client.heard[topic][0]).shape == (48, 64, 3)
    assert {int(decode(frame)[0, 0, 0]) for frame in client.heard[topic]} == {0, 50, 100}


def test_missing_source_is_said_and_tried_again(graph, client, tmp_path):
    topic = "camera/late/image_raw"
    client.hear(topic, "/diagnostics")
    graph.start("camera", "camera_late", name="late", source=tmp_path / "late.avi", reopen_s=0.2)
    said = client.until(lambda: client.diagnostics("camera_late"), "diagnostics")
    assert "late.avi" in said["message"]
    client.until(lambda: client.counted("camera_late", "reopened") > 0, "another attempt")
    write_video(tmp_path / "late.avi", 5)
    client.until(lambda: client.heard[topic], "frames")
    client.until(lambda: client.diagnostics("camera_late")["message"] in ("running", ""), "recovery")
