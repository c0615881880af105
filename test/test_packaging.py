"""What is said in more than one file agrees: executables, versions, pins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import speedtune_ros
from speedtune_ros import graph, prefix

ROOT = Path(__file__).resolve().parent.parent


def setup_constant(name: str) -> object:
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"setup.py has no {name}")


def test_executables_are_the_same_everywhere() -> None:
    nodes = setup_constant("NODES")
    assert {*(node.executable for node in graph.NODES), "replay"} == set(nodes)  # type: ignore[call-overload]
    assert set(prefix.EXECUTABLES) == {"speedtune", *nodes}  # type: ignore[misc]


@pytest.mark.parametrize("name", prefix.EXECUTABLES[1:])
def test_every_node_has_a_module_with_a_main(name: str) -> None:
    module = ast.parse((ROOT / "speedtune_ros" / "nodes" / f"{name}.py").read_text())
    assert "main" in [node.name for node in module.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", ["package.xml", "msg/package.xml"])
def test_packages_carry_one_version(path: str) -> None:
    package = ElementTree.parse(ROOT / path).getroot()
    assert package.findtext("version") == speedtune_ros.__version__
    assert package.findtext("license") == "Apache-2.0"


def test_the_package_depends_on_every_message_package_it_imports() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {element.text for kind in ("depend", "exec_depend") for element in package.iter(kind)}
    sources = [path.read_text() for path in (ROOT / "speedtune_ros" / "nodes").glob("*.py")]
    used = {match for text in sources for match in re.findall(r"^\s*(?:from|import) (\w+_(?:msgs|srvs))\b", text, re.M)}
    # the first two come with actions themselves; rosdep knows no interbotix_xs_msgs, which robots bring
    assert used - {"action_msgs", "unique_identifier_msgs", "interbotix_xs_msgs"} <= declared


def test_every_requirement_is_pinned_to_one_version() -> None:
    lines = (ROOT / "config" / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.!+]+( ; python_version .*)?", line)] == []
    bare = [line.split("==")[0] for line in pins if ";" not in line]
    assert len(bare) == len(set(bare))


def test_versions_are_pinned_nowhere_else() -> None:
    for name in ("setup.py", "Makefile", "package.xml"):
        assert not re.search(r"[a-z]==\d", (ROOT / name).read_text())


def test_this_environment_has_what_is_pinned() -> None:
    if not (Path(sys.prefix) / ".setup").exists():
        pytest.skip("not the environment of make setup")
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for path in (ROOT / "test").rglob("test_*.py")]  # pytest imports them as top-level modules
    assert [name for name in set(names) if names.count(name) > 1] == []
