"""Making an environment a ROS prefix: CMake paths rewritten, what `ros2` looks for linked."""

from __future__ import annotations

from pathlib import Path

from speedtune_ros import prefix

PYTHON = "/opt/python/cp311-cp311/include/python3.11"
NUMPY = "/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"


def test_only_the_build_machine_s_paths_are_rewritten_and_only_once(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    export, other = folder / "export.cmake", folder / "other.cmake"
    export.write_text(f'set(INCLUDE "{PYTHON};{NUMPY};/usr/include")')
    other.write_text("set(INCLUDE /usr/include/python3.11)")
    assert prefix.repair_cmake(tmp_path, "/my/python", "/my/numpy") == [export]
    assert export.read_text() == 'set(INCLUDE "/my/python;/my/numpy;/usr/include")'
    assert other.read_text() == "set(INCLUDE /usr/include/python3.11)"
    assert prefix.repair_cmake(tmp_path, "/my/python", "/my/numpy") == []


def source_tree(root: Path) -> Path:
    for name in ("package.xml", "resource/speedtune_ros", "launch/a.launch.py", "config/a.yaml", "config/b/c.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_links_are_what_an_ament_prefix_has(tmp_path: Path) -> None:
    source, target = source_tree(tmp_path / "source"), tmp_path / "prefix"
    prefix.link_package(target, source, target / "bin")
    share = target / "share" / "speedtune_ros"
    assert (target / "share/ament_index/resource_index/packages/speedtune_ros").exists()
    for name in ("package.xml", "launch/a.launch.py", "config/a.yaml", "config/b/c.yaml"):
        assert (share / name).read_text() == name
    assert not (share / "launch").is_symlink()  # `ros2 launch` does not search linked folders
    for name in prefix.EXECUTABLES:
        assert (target / "lib/speedtune_ros" / name).readlink() == target / "bin" / name


def test_linking_again_follows_the_tree(tmp_path: Path) -> None:
    source, target = source_tree(tmp_path / "source"), tmp_path / "prefix"
    prefix.link_package(target, source, target / "bin")
    (source / "config/a.yaml").rename(source / "config/z.yaml")
    prefix.link_package(target, source, target / "bin")
    names = {path.name for path in (target / "share/speedtune_ros/config").iterdir()}
    assert names == {"z.yaml", "b"}
