"""The recorder node: everything the graph says, as it was said, into one bag."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from std_srvs.srv import Trigger

from speedtune_ros.config import option
from speedtune_ros.nodes.bag_tap import FLUSH_S, BagTap
from speedtune_ros.nodes.node import StageNode, run


@dataclass(frozen=True)
class RecorderConfig:
    """Where to, and which cameras."""

    bag: str = option("", "folder to write, which must not exist; empty: runs/bags/<time of day>")
    cameras: tuple[str, ...] = option(("top",), "cameras to record, sizes after a colon ignored; empty text for none")
    jpeg_quality: int = option(90, "of recorded images", minimum=1, maximum=100)
    lossless: bool = option(False, "record images as PNG: larger and slower, but replay sees every pixel")


class RecorderNode(StageNode[RecorderConfig]):
    """One bag from start to end."""

    def __init__(self) -> None:
        super().__init__("recorder", RecorderConfig)
        config = self.config
        self._path = Path(config.bag or time.strftime("runs/bags/%Y-%m-%d_%H-%M-%S"))
        cameras = [camera.split(":")[0] for camera in config.cameras if camera]
        self._tap = BagTap(self, cameras, 0 if config.lossless else config.jpeg_quality)
        self._tap.open(self._path)
        self.create_service(Trigger, "recorder/bag", self._bag)
        self.every(FLUSH_S, self._tap.flush)

    def _bag(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._tap.drain()
        self._tap.flush()
        response.success, response.message = True, str(self._path)
        return response

    def diagnose(self) -> dict[str, object]:
        return {"bag": str(self._path), "messages": self._tap.messages}

    def close(self) -> None:
        self._tap.close()


def main() -> int:
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())
