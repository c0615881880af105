from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import DataError
from speedtune_ros.report.ablation_figure import ablation_figure


def row(group: str, name: str, rate: float, acceleration: float | None, reference: bool = False) -> dict[str, Any]:
    found = {"group": group, "name": name, "reference": reference, "success_rate": rate, "acceleration": acceleration}
    found |= {"task": "tea_bag", "policy": "act", "speed": "rainbow:x"}
    return found | {"wilson_low": rate - 0.05, "wilson_high": rate + 0.05}


ROWS = [
    row("beta", "beta 0", 0.6, 2.0),
    row("", "full method", 0.9, 3.0, True),
    row("beta", "beta 1", 0.7, 2.5),
    row("beta", "beta 1", 0.8, 2.7),  # another training seed
    row("images", "without images", 0.0, None),
]


def test_every_variant_has_a_line_below_the_full_method() -> None:
    success, acceleration = ablation_figure(ROWS).axes
    names = [label.get_text() for label in success.get_yticklabels()]
    assert names == ["full method", "beta 0", "beta 1", "without images"]
    assert [text.get_text() for text in success.texts if text.get_fontweight() == "bold"] == ["beta", "images"]
    assert "0.75" in [text.get_text() for text in success.texts]  # mean of both training seeds
    assert "no success" in [text.get_text() for text in acceleration.texts]
    reference = [line for line in acceleration.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in reference] == [3.0]


def test_the_command_reads_studies(tmp_path: Path) -> None:
    (tmp_path / "ablations.json").write_text(json.dumps({"ablations": ROWS}))
    assert speedtune(["plot", "ablations", str(tmp_path / "ablations.json"), "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    bare = {key: value for key, value in ROWS[0].items() if key != "group"}
    (tmp_path / "b.json").write_text(json.dumps(bare))
    with pytest.raises(DataError, match="rows with group and name"):
        speedtune(["plot", "ablations", str(tmp_path / "b.json"), "--out", str(tmp_path / "b.png")])
