"""`speedtune bag`: bags, from recording to understanding; each action is a module of bag_commands/."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

from speedtune_ros import bag_commands

HELP = "record bags (rosbag2, MCAP), see what is in them and why, replay, compare and convert them"


def action_names() -> list[str]:
    """Every action, alphabetically."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(bag_commands.__path__))


def configure(parser: argparse.ArgumentParser) -> None:
    """A subcommand for each action."""
    subparsers = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in action_names():
        module = importlib.import_module(f"{bag_commands.__name__}.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.configure(subparser)
        subparser.set_defaults(act=module.run)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))
