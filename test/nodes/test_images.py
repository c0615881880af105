"""The image codec: what goes in comes out, for every encoding, step and byte order; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from speedtune_ros.nodes.images import decode, encode
from speedtune_ros.nodes.refusal import Refused

ENCODINGS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0]}


def message_of(image: np.ndarray, encoding: str, padding: int = 0) -> Image:
    """An RGB image as another camera driver would send it, rows padded with 255."""
    height, width = image.shape[:2]
    channels = 4 if "a" in encoding else 3
    pixels = np.full((height, width, channels), 7, np.uint8)
    pixels[..., ENCODINGS[encoding]] = image
    rows = np.full((height, width * channels + padding), 255, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data.frombytes(rows.tobytes())
    return message


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    height, width, seed = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(images())
@settings(deadline=None, max_examples=50)
def test_round_trip(image):
    message = encode(image, 1_500_000_000, "top")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    assert (message.header.frame_id, message.encoding, message.step) == ("top", "rgb8", 3 * image.shape[1])
    np.testing.assert_array_equal(decode(message), image)


@given(images(), st.sampled_from(sorted(ENCODINGS)), st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_encodings_and_padded_rows(image, encoding, padding):
    np.testing.assert_array_equal(decode(message_of(image, encoding, padding)), image)


@pytest.mark.parametrize("big", [0, 1])
def test_byte_order_of_mono16(big):
    values = np.array([[0, 257], [65535, 0x0102]], ">u2" if big else "<u2")
    message = Image(height=2, width=2, encoding="mono16", step=4, is_bigendian=big)
    message.data.frombytes(values.tobytes())
    np.testing.assert_array_equal(decode(message)[..., 1], [[0, 1], [255, 1]])


def test_mono8_is_grey():
    message = Image(height=1, width=3, encoding="mono8", step=4)
    message.data.frombytes(bytes([1, 2, 3, 99]))
    np.testing.assert_array_equal(decode(message), [[[1] * 3, [2] * 3, [3] * 3]])


def test_views_are_encoded_as_they_look():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_array_equal(decode(encode(image[::2, ::-1], 0)), image[::2, ::-1])


@pytest.mark.parametrize(
    ("reason", "text", "spoil"),
    [
        ("image_encoding", "'yuv422': expected one of rgb8", lambda m: setattr(m, "encoding", "yuv422")),
        ("image_step", "at least 9 for width 3, got 8", lambda m: setattr(m, "step", 8)),
        ("image_size", "expected 27 bytes, got 18", lambda m: setattr(m, "height", 3)),
        ("image_size", "at least 1x1, got 0x3", lambda m: setattr(m, "height", 0)),
        ("image_size", "got 17", lambda m: m.data.pop()),
    ],
)
def test_refusals(reason, text, spoil):
    message = encode(np.zeros((2, 3, 3), np.uint8), 0)
    spoil(message)
    with pytest.raises(Refused, match=text) as caught:
        decode(message)
    assert caught.value.reason == reason


@pytest.mark.parametrize("image", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3)), np.zeros((2, 3, 4), np.uint8)])
def test_only_rgb_images_are_encoded(image):
    with pytest.raises(Refused, match="uint8"):
        encode(image, 0)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_parity_with_cv_bridge(encoding):
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:
        pytest.skip(f"cv_bridge cannot be imported here: {error}")
    message = message_of(np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8), encoding, 3)
    expected = CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8")
    np.testing.assert_array_equal(decode(message, use_bridge=False), expected)
