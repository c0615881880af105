"""Image series as padded JPEG rows, the way ALOHA's recorder stores them.

ALOHA hands RGB arrays to OpenCV's encoder and takes what its decoder returns as RGB again, so the two channel
swaps cancel. We do the same, or our files would come out blue in its tools and theirs in ours.
"""

from __future__ import annotations

import numpy as np

from speedtune_ros.errors import DataError, MissingDependencyError


def encode(frames: np.ndarray, quality: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, H, W, 3) uint8 RGB to zero-padded rows (T, longest) uint8 and their lengths (T,)."""
    cv2 = _opencv()
    coded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel() for frame in frames]
    lengths = np.array([len(row) for row in coded])
    padded = np.zeros((len(coded), lengths.max()), np.uint8)
    for row, data in zip(padded, coded):
        row[: len(data)] = data
    return padded, lengths


def decode(rows: np.ndarray, source: str) -> np.ndarray:
    """Padded rows (T, longest) uint8 to (T, H, W, 3) uint8 RGB. Raises DataError naming `source` and the row."""
    cv2 = _opencv()
    frames: list[np.ndarray] = []
    for index, row in enumerate(rows):
        frame = cv2.imdecode(row, cv2.IMREAD_COLOR)
        if frame is None or (frames and frame.shape != frames[0].shape):
            found = "bytes that do not decode" if frame is None else f"an image of {frame.shape}"
            raise DataError(f"{source}: expected a JPEG image like the others in row {index}, found {found}")
        frames.append(frame)
    return np.stack(frames)


def _opencv():  # type: ignore[no-untyped-def]  # a module
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError("JPEG images need OpenCV: pip install opencv-python-headless") from error
    return cv2
