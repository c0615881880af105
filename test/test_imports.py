"""Who may import whom, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "speedtune_ros"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = ("policies", "speed", "retiming", "robots", "tasks")
ROS = ("rclpy", "cv_bridge", "launch", "launch_ros", "ament_index_python", "rosidl_runtime_py", "interbotix")


def imported(source: str, package: str) -> Iterator[str]:
    """Every module named by an import statement anywhere in `source`, relative ones resolved from `package`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).parent.parts)


def imports(path: Path) -> list[str]:
    return list(imported(path.read_text(), package_of(path)))


def is_ros(module: str) -> bool:
    top = module.split(".")[0]
    return top.startswith(ROS) or top.endswith(("_msgs", "_srvs", "_interfaces"))


def identifier(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name != "nodes"], ids=identifier)
def test_only_nodes_import_ros(path: Path) -> None:
    assert [module for module in imports(path) if is_ros(module)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage: str) -> None:
    others = tuple(f"speedtune_ros.{other}" for other in STAGES if other != stage)
    found = {identifier(p): m for p in (PACKAGE / stage).rglob("*.py") for m in imports(p) if m.startswith(others)}
    assert found == {}


@pytest.mark.parametrize("path", [p for s in STAGES for p in sorted((PACKAGE / s).rglob("*.py"))], ids=identifier)
def test_stages_import_nothing_above_them(path: Path) -> None:
    shared = ("errors", "types", "aloha", "config", "sampling", "interpolation", "data")
    allowed = tuple(f"speedtune_ros.{name}" for name in (*shared, path.relative_to(PACKAGE).parts[0]))
    own = [m for m in imports(path) if m.startswith("speedtune_ros.")]
    assert [m for m in own if not m.startswith(allowed)] == []


@pytest.mark.parametrize("path", [p for s in STAGES for p in sorted((PACKAGE / s).rglob("*.py"))], ids=identifier)
def test_stages_read_no_clock_and_no_global_random_state(path: Path) -> None:
    assert [m for m in imports(path) if m.split(".")[0] in ("time", "random", "datetime", "secrets", "uuid")] == []
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert [call for call in calls if call.startswith("np.random.") and call != "np.random.default_rng"] == []


def test_the_reader_sees_every_kind_of_import() -> None:
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g\ndef h():\n    import i\n"
    names = {"a.b", "c", "c.d", "p.q", "p.q.e", "p.f", "p.f.g", "i"}
    assert set(imported(source, "p.q")) == names
    assert is_ros("std_srvs.srv")
    assert is_ros("speedtune_msgs.msg.ActionChunk")
    assert not is_ros("rosbags.rosbag2")
