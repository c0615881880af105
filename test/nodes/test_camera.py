"""The camera node on files, on a network stream and on another node's topic: red is red, repetitions are not fresh."""

from __future__ import annotations

import functools
import http.server
import signal
import socketserver
import threading
import time

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from speedtune_ros.nodes.conversions import joints_to_message, to_ns
from speedtune_ros.nodes.images import decode, encode
from speedtune_ros.nodes.observer import Observer
from speedtune_ros.nodes.refusal import Refused

pytestmark = pytest.mark.ros

RED = (0, 0, 200)  # as OpenCV has it: blue, green, red
TOPIC = "/cam_high/camera/color/image_rect_raw"


def picture(number):
    """A red patch beside what changes from frame to frame."""
    image = np.full((48, 64, 3), RED, np.uint8)
    image[:, :16] = (number * 5 % 250, 100, 100)
    return image


def is_red(message):
    red, green, blue = (int(value) for value in decode(message)[24, 48])
    return abs(red - 200) < 15 and green < 15 and blue < 15


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, (64, 48))
    for i in range(frames):
        writer.write(picture(3 * i))
    writer.release()


class Stream:
    """A camera on the network: frames as fast as a sensor's, which may freeze, fall silent or be unplugged."""

    def __init__(self):
        self.frozen = self.silent = False
        self.port = 0
        self._server = None

    def plug(self):
        handler = functools.partial(_Handler, self)
        self.plugged = True
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def unplug(self):
        self.plugged = False
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, stream, *rest):
        self.stream = stream
        super().__init__(*rest)

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = 0
        try:
            while self.stream.plugged:
                number += not self.stream.frozen
                data = cv2.imencode(".jpg", picture(number))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                if not self.stream.silent:
                    self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(1 / 30)
        except OSError:
            pass  # the camera node hung up


class RealSense:
    """Publishes as realsense2_camera does: its own stamps, the encoding it is told."""

    def __init__(self, client, encoding="rgb8"):
        self._out = client.create_publisher(Image, TOPIC, QoSProfile(depth=1))
        self._encoding = encoding
        self._number = 0
        self.frozen = False
        self.offset_ns = 0

    def publish(self):
        if not self.frozen:
            self._number += 1
            self._stamp_ns = time.time_ns() + self.offset_ns
        image = picture(self._number)
        message = encode(image if self._encoding == "bgr8" else image[..., ::-1], self._stamp_ns, "cam_high")
        message.encoding = self._encoding
        self._out.publish(message)

    def until(self, client, met, what):
        """Publish at 30 Hz until `met`."""
        due = time.monotonic()
        end = due + 60.0
        while not met():
            assert time.monotonic() < end, f"no {what}"
            self.publish()
            due = max(due + 1 / 30, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def said(client, node, text):
    return text in client.diagnostics(node).get("message", "")


def test_video_file_loops_at_its_rate(graph, client, tmp_path):
    write_video(tmp_path / "clip.avi", 10)
    topic = "camera/clip/image_raw"
    client.hear(topic, "/diagnostics")
    before = time.time_ns()
    graph.start("camera", "camera_clip", name="clip", source=tmp_path / "clip.avi", rate_hz=20.0)
    client.until(lambda: len(client.heard[topic]) >= 30, "three rounds of the clip")
    graph.processes["camera_clip"].terminate()
    assert graph.wait("camera_clip") == 0
    frames = client.heard[topic]
    assert decode(frames[5]).shape == (48, 64, 3) and is_red(frames[5])
    stamps = np.array([to_ns(frame.header.stamp) for frame in frames])
    assert before < stamps[0] < stamps[-1] < time.time_ns()
    assert np.median(np.diff(stamps)) == pytest.approx(5e7, rel=0.2)
    assert len({int(decode(frame)[0, 0, 2]) for frame in frames}) > 5


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
    client.until(lambda: said(client, "camera_late", "late.avi"), "diagnostics")
    client.until(lambda: client.counted("camera_late", "reopened") > 0, "another attempt")
    write_video(tmp_path / "late.avi", 5)
    client.until(lambda: client.heard[topic], "frames")
    client.until(lambda: client.diagnostics("camera_late")["message"] in ("running", ""), "recovery")


@pytest.fixture(scope="module")
def stream():
    stream = Stream()
    stream.plug()
    yield stream
    stream.unplug()


@pytest.fixture(scope="module")
def live(graph, client, stream):
    """A camera node on the stream, and the frames it published."""
    source = f"http://127.0.0.1:{stream.port}/cam.mjpg"
    client.hear("camera/live/image_raw", "/diagnostics")
    graph.start("camera", "camera_live", name="live", source=source, reopen_s=0.2, retry_s=600.0)
    client.until(lambda: len(client.heard["camera/live/image_raw"]) > 10, "frames")
    return client.heard["camera/live/image_raw"]


def test_a_live_camera_shows_red_as_red_and_tells_rate_age_and_drops(client, live):
    assert is_red(live[-1])
    client.until(lambda: float(client.diagnostics("camera_live").get("rate_hz", 0.0)) > 5.0, "a rate")
    values = client.diagnostics("camera_live")
    assert float(values["age_ms"]) < 5000.0 and int(values["drops"]) >= 0 and values["size"] == "48x64"


def test_a_frozen_camera_is_said_and_nothing_of_it_is_passed_on_as_fresh(client, stream, live):
    stream.frozen = True
    client.until(lambda: said(client, "camera_live", "frozen: the same image for"), "a frozen camera")
    seen = len(live)
    before = client.counted("camera_live", "repeated_images")
    client.until(lambda: client.counted("camera_live", "repeated_images") > before + 10, "repetitions")
    assert len(live) == seen
    assert client.counted("camera_live", "refused.frozen_image") == 1
    refuse_the_newest(live)
    stream.frozen = False
    client.until(lambda: len(live) > seen + 5, "fresh frames")
    client.until(lambda: client.diagnostics("camera_live")["message"] == "running", "recovery")


def refuse_the_newest(frames):
    """A policy that is asked now does not take what the camera showed last."""
    callbacks = {}

    class Listener:
        def listen(self, topic, callback, name=None, qos=None):
            callbacks[name or topic] = callback

    observer = Observer(Listener(), ["live"], exact=False, image_age_s=0.1, state_age_s=0.4)
    callbacks["camera/live/image_raw"](frames[-1])
    now_ns = time.time_ns()
    callbacks["joint_states"](joints_to_message(now_ns, np.zeros(14), np.zeros(14)))
    with pytest.raises(Refused, match="camera 'live': image .* s old, limit 0.1 s") as refused:
        observer.observe(now_ns, 0.0)
    assert refused.value.reason == "stale_image"


def test_a_silent_camera_is_said(client, stream, live):
    stream.silent = True
    client.until(lambda: said(client, "camera_live", "no frame for"), "silence")
    stream.silent = False
    client.until(lambda: client.diagnostics("camera_live")["message"] == "running", "recovery")


def test_an_unplugged_camera_comes_back(client, stream, live):
    stream.unplug()
    client.until(lambda: said(client, "camera_live", "camera source 'http"), "the loss")
    seen, reopened = len(live), client.counted("camera_live", "reopened")
    client.until(lambda: client.counted("camera_live", "reopened") > reopened, "attempts")
    stream.plug()
    client.until(lambda: len(live) > seen + 5, "frames again")
    client.until(lambda: client.diagnostics("camera_live")["message"] == "running", "recovery")


def test_the_reset_of_one_camera_does_not_stop_another(graph, client, live, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), picture(0))
    other = "camera/other/image_raw"
    client.hear(other)
    graph.start("camera", "camera_other", name="other", source=tmp_path, rate_hz=20.0)
    client.until(lambda: len(client.heard[other]) > 5, "frames of the other camera")
    seen, others = len(live), len(client.heard[other])
    answer = client.call(Trigger, "camera/live/reset")
    assert answer.success and "again" in answer.message
    client.until(lambda: len(live) > seen + 5, "frames after a reset")
    client.until(lambda: client.counted("camera_live", "resets") == 1, "the count")
    client.until(lambda: len(client.heard[other]) > others + 5, "frames of the other camera")
    assert client.counted("camera_other", "resets") == 0


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_a_realsense_s_topic_is_passed_on_with_its_stamps_red_as_red(graph, client, encoding):
    name, topic = f"camera_{encoding}", f"camera/{encoding}/image_raw"
    client.hear(topic, "/diagnostics")
    graph.start("camera", name, name=encoding, driver="realsense", topic=TOPIC)
    camera = RealSense(client, encoding)
    client.until(lambda: said(client, name, "is its driver running?"), "a word of the missing driver")
    camera.until(client, lambda: len(client.heard[topic]) > 20, "frames")
    assert all(is_red(frame) and frame.encoding == "rgb8" for frame in client.heard[topic])
    assert to_ns(client.heard[topic][-1].header.stamp) <= camera._stamp_ns
    camera.until(client, lambda: client.diagnostics(name)["message"] == "running", "recovery")
    assert client.diagnostics(name)["encoding"] == encoding
    graph.processes[name].send_signal(signal.SIGINT)
    assert graph.wait(name) == 0


def test_a_realsense_whose_stamps_stand_still_is_frozen_and_one_of_another_clock_is_warned_of(graph, client):
    topic = "camera/still/image_raw"
    client.hear(topic, "/diagnostics")
    graph.start("camera", "camera_still", name="still", driver="realsense", topic=TOPIC)
    camera = RealSense(client)
    camera.until(client, lambda: client.heard[topic], "frames")
    camera.frozen = True
    camera.until(client, lambda: said(client, "camera_still", "frozen: the same stamp for"), "a frozen camera")
    seen = len(client.heard[topic])
    before = client.counted("camera_still", "repeated_stamps")
    camera.until(client, lambda: client.counted("camera_still", "repeated_stamps") > before + 10, "repetitions")
    assert len(client.heard[topic]) == seen
    camera.frozen, camera.offset_ns = False, 3_000_000_000
    camera.until(client, lambda: said(client, "camera_still", "of another clock"), "a warning")
    assert len(client.heard[topic]) > seen
