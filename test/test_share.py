"""Shipped files are found in the source tree, and in a prefix where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtune_ros import share
from speedtune_ros.errors import MissingDependencyError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ament prefix, seen by a package that lies in no source tree."""
    monkeypatch.setattr(share, "SOURCE", tmp_path / "site-packages")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'empty'}:{tmp_path / 'prefix'}")
    monkeypatch.setattr(share.sys, "prefix", str(tmp_path / "python"))
    return tmp_path / "prefix"


def test_the_source_tree_comes_first() -> None:
    root = Path(__file__).resolve().parent.parent
    assert share.share_path("config/fastdds.xml") == root / "config" / "fastdds.xml"


def test_in_a_prefix_files_are_below_share(installed: Path) -> None:
    path = installed / "share/speedtune_ros/config/sim.yaml"
    path.parent.mkdir(parents=True)
    path.touch()
    assert share.share_path("config/sim.yaml") == path


def test_executables_are_below_lib_or_on_the_environment_s_path(installed: Path, tmp_path: Path) -> None:
    for path in (installed / "lib/speedtune_ros/sim", tmp_path / "python/bin/retimer"):
        path.parent.mkdir(parents=True)
        path.touch()
        assert share.executable_path(path.name) == path


def test_what_is_nowhere_is_named_with_where_it_was_sought(installed: Path) -> None:
    with pytest.raises(MissingDependencyError, match="config/none.yaml is not installed; looked for .*make setup") as e:
        share.share_path("config/none.yaml")
    assert str(installed) in str(e.value)
    with pytest.raises(MissingDependencyError, match="the executable none is not installed"):
        share.executable_path("none")
