from __future__ import annotations

import subprocess
import sys

import mujoco
import pytest

from speedtune_ros.errors import MissingDependencyError
from speedtune_ros.tasks.scene import TOOL_OFFSET, asset_folder, load_scene, touching


def test_assets_are_found_without_importing_their_package() -> None:
    code = "import sys, speedtune_ros.tasks.scene as s; s.asset_folder(); print('gym_aloha' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    assert (asset_folder() / "scene.xml").is_file()


def test_scene_is_the_benchmarks_with_two_sites_more() -> None:
    path = asset_folder() / "bimanual_viperx_transfer_cube.xml"
    benchmark, ours = mujoco.MjModel.from_xml_path(str(path)), load_scene(path.stem).compile()
    assert (ours.nq, ours.nu, ours.ngeom, ours.nsite) == (
        benchmark.nq,
        benchmark.nu,
        benchmark.ngeom,
        benchmark.nsite + 2,
    )
    assert tuple(ours.site("right_tool").pos) == TOOL_OFFSET


def test_unknown_scene_names_those_found() -> None:
    with pytest.raises(MissingDependencyError, match="no such scene.*bimanual_viperx_transfer_cube"):
        load_scene("bimanual_viperx_juggling")


def test_touching_by_hand() -> None:
    """Two balls rest on a plane, apart from each other."""
    xml = """<mujoco><worldbody><geom name="floor" type="plane" size="1 1 1"/>
      <body pos="0 0 .1"><freejoint/><geom name="a" size=".1"/></body>
      <body pos="1 0 .1"><freejoint/><geom name="b" size=".1"/></body></worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    data.qpos[2] = 0.0999
    mujoco.mj_forward(model, data)
    assert touching(model, data, "a", ("floor", "b")) == [True, False]
    assert touching(model, data, "floor", ("b", "a")) == [data.ncon == 2, True]
