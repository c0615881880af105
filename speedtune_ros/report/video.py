"""Videos of runs at their true pace, executed speed written on every frame."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.report.runs import ReportRun

FPS = 25
FONT = str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"))  # ships with matplotlib
BADGE = (20, 24, 31, 200)  # behind the text, over whatever the camera saw
BAR, BAR_DONE = (255, 255, 255, 90), (86, 180, 233, 255)


def video_element(run: ReportRun) -> str:
    """A self-contained <video> (H.264) or, without ffmpeg, an <img> (animated WebP); a note without frames."""
    if not run.frames:
        return '<p class="none">No camera images were recorded.</p>'
    label = f"{run.title}, {run.mode}"
    try:
        data = base64.b64encode(encode_mp4(run)).decode()
        kind = f'src="data:video/mp4;base64,{data}"'
        return f'<video controls loop muted playsinline preload="auto" aria-label="{label}" {kind}></video>'
    except ImportError:
        data = base64.b64encode(encode_webp(run)).decode()
        return f'<img alt="{label}" src="data:image/webp;base64,{data}">'


def encode_mp4(run: ReportRun) -> bytes:
    """The run as an MP4 every browser plays. Raises ImportError without imageio-ffmpeg."""
    import imageio_ffmpeg

    height, width = run.frames[0].pixels.shape[:2]
    size = (width - width % 2, height - height % 2)  # yuv420p halves the colour planes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.mp4")
        writer = imageio_ffmpeg.write_frames(
            str(path),
            size,
            fps=FPS,
            codec="libx264",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            output_params=["-crf", "25", "-preset", "veryfast", "-movflags", "+faststart"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        for frame in annotated(run):
            writer.send(np.ascontiguousarray(frame[: size[1], : size[0]]))
        writer.close()
        return path.read_bytes()


def encode_webp(run: ReportRun) -> bytes:
    """The run as an animated WebP, for machines without ffmpeg."""
    images = [Image.fromarray(frame) for frame in annotated(run)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=1000 // FPS, loop=0, quality=60, method=2
    )
    return buffer.getvalue()


def annotated(run: ReportRun) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 RGB at FPS, each showing what the camera last saw, the speed and the progress."""
    if not run.frames:
        raise InvalidInputError(f"run '{run.title}' has no frames")
    times = np.array([frame.time for frame in run.frames])
    end = max(float(times[-1]), float(run.times[-1]) if len(run.times) else 0.0)
    whole = max(float(run.progress[-1]) if len(run.progress) else 0.0, 1e-9)
    for i in range(int(end * FPS) + 1):
        time = i / FPS
        latest = max(0, int(np.searchsorted(times, time + 1e-9, side="right")) - 1)
        speed, progress = run.at(time)
        yield annotate(run.frames[latest].pixels, speed, time, progress / whole)


def annotate(pixels: np.ndarray, speed: float, time: float, done: float) -> np.ndarray:
    """`pixels` (H, W, 3) with the speed and time in a corner and a bar `done` (0 to 1) full along the bottom."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    draw = ImageDraw.Draw(image, "RGBA")
    width, height = image.size
    unit = max(10, height // 13)
    font = ImageFont.truetype(FONT, unit)
    margin, text = unit // 2, f"{speed:.2f}×   {time:.1f} s"
    left, top, right, bottom = draw.textbbox((2 * margin, 1.5 * margin), text, font=font)
    draw.rounded_rectangle((margin, margin, right + margin, bottom + margin), margin, fill=BADGE)
    draw.text((2 * margin, 1.5 * margin), text, font=font, fill="white")
    thickness = max(3, height // 60)
    draw.rectangle((0, height - thickness, width, height), fill=BAR)
    draw.rectangle((0, height - thickness, width * min(max(done, 0.0), 1.0), height), fill=BAR_DONE)
    return np.asarray(image)
