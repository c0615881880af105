"""`speedtune completion`: what a shell needs to complete `speedtune`'s commands and options."""

from __future__ import annotations

import argparse

HELP = 'print the completion script of a shell, for eval "$(speedtune completion bash)"'
SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def run(arguments: argparse.Namespace) -> int:
    """Print the script to stdout."""
    import shtab

    from speedtune_ros import cli

    print(shtab.complete(cli.build_parser(cli.command_names()), arguments.shell))
    return 0
