"""The `speedtune` command: finds its subcommands in commands/ and runs one."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence

from speedtune_ros import commands
from speedtune_ros.errors import SpeedtuneError, UnknownNameError

EXIT_REFUSED = 2  # as argparse exits on bad arguments
EXIT_INTERRUPTED = 130  # as a shell reports SIGINT
EXIT_BROKEN_PIPE = 141

DESCRIPTION = "Run chunk-predicting policies on the bimanual ALOHA faster than they were demonstrated."
EPILOG = "`speedtune COMMAND --help` tells more about one of them; `speedtune doctor` what works on this machine."


def command_names() -> list[str]:
    """Every subcommand, alphabetically."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))


def build_parser(names: Iterable[str]) -> argparse.ArgumentParser:
    """The parser with the subcommands `names`; only their modules are imported."""
    parser = argparse.ArgumentParser(prog="speedtune", description=DESCRIPTION, epilog=EPILOG)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        module = importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=_sentence(module.HELP))
        module.configure(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def run(argv: Sequence[str]) -> int:
    """Run `speedtune` with `argv`; the exit status. Raises SpeedtuneError for what is refused."""
    names = command_names()
    given = argv[0] if argv else "--help"
    if given in names:
        names = [given]
    elif not given.startswith("-"):
        raise UnknownNameError("command", given, names)
    arguments = build_parser(names).parse_args(argv or ["--help"])
    return int(arguments.run(arguments) or 0)


def main() -> int:
    """Entry point: one line on stderr instead of a traceback for errors raised on purpose."""
    try:
        return run(sys.argv[1:])
    except SpeedtuneError as error:
        print(f"speedtune: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) left; without this Python complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


if __name__ == "__main__":
    sys.exit(main())
