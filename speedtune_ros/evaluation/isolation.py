"""A graph of one's own: no other graph on the network hears it."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping

# Discovery between domains up to 101 never meets the system's own ports:
# https://docs.ros.org/en/jazzy/Concepts/Intermediate/About-Domain-ID.html
DOMAINS = range(1, 102)


def isolation(present: Mapping[str, str]) -> dict[str, str]:
    """A domain of our own on this machine alone, unless the user chose one: no other graph must hear this one."""
    chosen = {
        "ROS_DOMAIN_ID": str(random.Random(os.getpid()).choice(DOMAINS)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    return {name: value for name, value in chosen.items() if name not in present}
