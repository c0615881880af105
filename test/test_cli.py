"""The `speedtune` command: every subcommand helps, mistakes are one line, shells can complete it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from speedtune_ros import cli, errors
from speedtune_ros.commands import bag, bench

# Modules too slow to load for a help text.
SLOW = {"torch", "rclpy", "matplotlib", "cv2", "scipy", "h5py"}


def speedtune(*arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "speedtune_ros.cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=60)


def subcommands() -> list[list[str]]:
    parts = [["bench", name] for name in bench.bench_names()] + [["bag", name] for name in bag.action_names()]
    return [[], *([name] for name in cli.command_names()), *parts]


@pytest.mark.parametrize("words", subcommands(), ids=" ".join)
def test_every_command_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run([*words, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {' '.join(['speedtune', *words])}")
    assert len(out.splitlines()) > 4


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys; from speedtune_ros import cli; cli.build_parser(cli.command_names());"
        f"print(sorted({SLOW!r} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_without_arguments_it_shows_its_help_and_its_commands() -> None:
    process = speedtune(check=False)
    assert process.returncode == 0
    for name in cli.command_names():
        assert name in process.stdout


def test_an_unknown_command_is_one_line_with_a_guess() -> None:
    process = speedtune("docter")
    assert process.returncode == cli.EXIT_REFUSED
    assert process.stdout == ""
    assert process.stderr.startswith("speedtune: unknown command 'docter'; available: ")
    assert process.stderr.endswith("Did you mean 'doctor'?\n")


def main_that(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(argv: object) -> int:
        raise error

    monkeypatch.setattr(cli, "run", fail)
    return cli.main()


def test_errors_on_purpose_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_that(monkeypatch, errors.DataError("bag: no such file")) == 2
    assert capsys.readouterr().err == "speedtune: bag: no such file\n"


def test_an_interrupt_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main_that(monkeypatch, KeyboardInterrupt()) == 130


def test_an_error_by_mistake_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        main_that(monkeypatch, ZeroDivisionError())


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m speedtune_ros.cli completion bash | head -n 1"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert process.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_know_commands_and_options(shell: str) -> None:
    script = speedtune("completion", shell, check=True).stdout
    assert "doctor" in script
    assert "real" in script and "dynamics" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
