"""The pages: their links lead somewhere, their commands are what the package takes today."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtune_ros import cli
from speedtune_ros.commands.train import speed_config
from speedtune_ros.launch_arguments import ARGUMENTS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LAUNCH_FILES = ("aloha_sim.launch.py", "aloha_real.launch.py")


@pytest.fixture(params=PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def anchors(path: Path) -> set[str]:
    """What `#` may name in a page: its headings as GitHub spells them, and anchors set by hand."""
    text = FENCE.sub("", path.read_text())
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    spelled = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return spelled | set(re.findall(r'<a id="([^"]+)">', text))


def commands(path: Path) -> Iterator[list[str]]:
    """The words of every line of a page's shell blocks, its variables filled in, loops left out."""
    variables: dict[str, str] = {}
    for language, block in FENCE.findall(path.read_text()):
        for line in block.replace("\\\n", " ").splitlines() if language == "bash" else []:
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            if found := re.fullmatch(r'(\w+)="(.*)"', line):
                variables[found[1]] = found[2]
            elif line[:1] not in ("", " ", "#"):
                yield shlex.split(line, comments=True)


def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def test_the_options_of_its_commands_are_known(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(page):
        if words[0] != "speedtune":
            continue
        try:
            arguments = cli.build_parser([words[1]]).parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err}")
        if words[1:3] == ["train", "speed"]:
            speed_config(arguments.config, arguments.set, arguments.preset)  # raises where a parameter is unknown


def test_its_launch_arguments_are_known(page: Path) -> None:
    known = {argument.name: argument.choices for argument in ARGUMENTS}
    for words in commands(page):
        if words[:3] != ["ros2", "launch", "speedtune_ros"] or words[3] not in LAUNCH_FILES:
            continue
        for word in words[4:]:
            name, given, value = word.partition(":=")
            assert not given or (name in known and value in (known[name] or (value,))), shlex.join(words)


def test_it_would_find_a_command_that_is_not_taken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A *page*: of 2\n\n```bash\nF="--set floor=1"\nspeedtune train speed $F x=2 --out a  # why\n```\n'
    )
    assert list(commands(page)) == [["speedtune", "train", "speed", "--set", "floor=1", "x=2", "--out", "a"]]
    assert anchors(page) == {"a-page-of-2"}
