"""Images as bags keep them: JPEG or PNG in sensor_msgs/CompressedImage, coloured as other tools expect."""

from __future__ import annotations

from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from speedtune_ros.errors import DataError, InvalidInputError, MissingDependencyError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
FORMAT = "rgb8; {} compressed bgr8"  # as image_transport's compressed publisher writes it
ENCODINGS = ("rgb8", "bgr8")


def compress(data: bytes, store: Typestore, quality: int) -> bytes:
    """A serialised Image as a serialised CompressedImage. Raises InvalidInputError for one that is not as it says.

    quality: of JPEG, 1 to 100; 0 for PNG, which loses nothing.
    """
    image: Any = store.deserialize_cdr(data, IMAGE)
    if image.encoding not in ENCODINGS:
        raise InvalidInputError(f"image encoding: expected {' or '.join(ENCODINGS)}, got '{image.encoding}'")
    height, width, step, pixels = image.height, image.width, image.step, np.asarray(image.data)
    if step < 3 * width or pixels.size != height * step or not pixels.size:
        raise InvalidInputError(
            f"image: expected {height} rows of step >= {3 * width} bytes, got step {step} and {pixels.size} bytes"
        )
    frame = pixels.reshape(height, step)[:, : 3 * width].reshape(height, width, 3)
    coded = encode_image(frame if image.encoding == "rgb8" else frame[..., ::-1], quality)
    words = FORMAT.format("jpeg" if quality else "png")
    return bytes(store.serialize_cdr(store.types[COMPRESSED](image.header, words, coded), COMPRESSED))


def encode_image(rgb: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB to the bytes of a JPEG file of `quality` or, if that is 0, of a PNG file, uint8."""
    cv2 = _opencv()
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    if quality:
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel()
    return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].ravel()


def decode_image(data: np.ndarray) -> np.ndarray:
    """The bytes of a JPEG or PNG file to (H, W, 3) uint8 RGB. Raises DataError."""
    cv2 = _opencv()
    frame = cv2.imdecode(np.asarray(data, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise DataError(f"expected a JPEG or PNG image, found {len(data)} bytes that do not decode")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError("compressed images need OpenCV: pip install opencv-python-headless") from error
    return cv2
