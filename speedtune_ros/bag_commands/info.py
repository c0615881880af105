"""speedtune bag info."""

from __future__ import annotations

import argparse

from speedtune_ros.bag_commands import add_bag, open_bag

HELP = "duration, topics, counts, episodes, versions, checkpoint hashes and the embedded configuration"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)


def run(args: argparse.Namespace) -> int:
    import yaml

    bag = open_bag(args.bag)
    print(f"{bag.file}: {bag.duration:.1f} s, {bag.file.stat().st_size / 1e6:.1f} MB")
    width = max((len(name) for name in bag.topics), default=0)
    print("\ntopics")
    for topic in bag.topics.values():
        print(f"  {topic.name:<{width}}  {topic.count:>7}  {topic.type_name}")
    print("\nepisodes" if (episodes := bag.episodes()) else "\nno episodes")
    for number, episode in enumerate(episodes, 1):
        verdict = "success" if episode.success else f"no success ({episode.reason or 'the bag ends first'})"
        what = f"{episode.task}, seed {episode.seed}: {episode.elapsed:.2f} s, {verdict}"
        move = f"a move of the arms: {episode.reason}"  # numbered with the others, and in no other way an episode
        print(f"  {number}  {episode.id}  {move if episode.id.startswith('move-') else what}")
    for title, values in (("versions and checkpoints", bag.provenance), ("configuration", bag.config)):
        if values is not None:
            print(f"\n{title}\n" + _indented(yaml.safe_dump(values, sort_keys=False)))
    return 0


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
