"""config/sros2_policy.xml allows what docs/topics.md says and no more, and what running nodes use."""

from __future__ import annotations

import fnmatch
import re
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest

from speedtune_ros import graph
from speedtune_ros.bringup import realsense_topic
from speedtune_ros.nodes.topics import TOPICS
from speedtune_ros.registry import execution_needs

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "topics.md").read_text()
ABOVE = "/speedtune/"
TOOLS = {"operator", "robot"}  # enclaves of no node of ours
# What every node says, hears and serves besides.
COMMON = {"/diagnostics", "/parameter_events", "/rosout"}
RULES = {"publisher": "publish", "subscriber": "subscribe", "service": "reply", "client": "request"}


def allowed():
    """(rule -> names) by enclave; names resolved, `~/` for a node's own as it is."""
    found = {}
    for enclave in ElementTree.parse(ROOT / "config" / "sros2_policy.xml").getroot().iter("enclave"):
        (profile,) = enclave.iter("profile")
        rules = defaultdict(set)
        for block in profile:
            for rule, verdict in block.attrib.items():
                assert verdict == "ALLOW"
                rules[rule] |= {entry.text if entry.text[0] in "/~" else f"/{entry.text}" for entry in block}
        name = enclave.get("path").removeprefix(ABOVE)
        assert enclave.get("path").startswith(ABOVE) and (name in TOOLS or profile.get("node") == name)
        found[name] = rules
    return found


POLICY = allowed()
NODES = {name: rules for name, rules in POLICY.items() if name not in TOOLS}


def of(rule, name):
    """The nodes that may do so with this name."""
    return {node for node, rules in NODES.items() if any(fnmatch.fnmatch(name, pattern) for pattern in rules[rule])}


def executables(nodes):
    return {"camera" if node.startswith("camera_") else node for node in nodes}


def words(cell):
    """The nodes that a cell of docs/topics.md names."""
    names = set(re.split(r", | or ", cell))
    if "every node" in names:
        return executables(NODES)
    if "every stage" in names:
        names |= {"arm_driver", "sim", "retimer", "task_policy", "speed_policy"}
    return names & executables(NODES)


def rows(page, columns):
    return [line.strip("| \n").split(" | ") for line in page.splitlines() if line.count(" | ") >= columns - 1]


def test_every_node_of_the_graph_has_its_enclave():
    names = {node.name for node in graph.NODES if not node.per_camera}
    for camera in ("top", "angle", "left_wrist", "right_wrist"):
        names.add(f"camera_{camera}")
        assert realsense_topic(camera) in NODES[f"camera_{camera}"]["subscribe"]
    assert names <= set(NODES)


def test_topics_are_those_of_the_table_with_its_publishers_and_subscribers():
    table = PAGE.split("| topic |")[1].split("\n\n")[0]
    said = {row[0].strip("`"): (words(row[4]), words(row[5])) for row in rows(table, 6) if row[0].startswith("`")}
    assert set(said) == set(TOPICS)
    for topic, (published, subscribed) in said.items():
        name = topic.replace("<name>", "top")
        name = name if name.startswith("/") else f"/{name}"
        may_publish, may_subscribe = executables(of("publish", name)), executables(of("subscribe", name))
        if topic == "camera/<name>/image_raw":
            may_publish -= {"xs_sim"}  # stands for cameras, too
        assert (may_publish, may_subscribe) == (published, subscribed), topic


def test_no_node_may_use_a_topic_that_is_neither_in_the_table_nor_of_the_robot_or_ros():
    known = {name if name.startswith("/") else f"/{name}" for name in TOPICS} | COMMON | {"~/transition_event"}
    robot = ("/follower_left/", "/follower_right/", "/leader_left/", "/leader_right/", "/cam_")
    for rules in NODES.values():
        for name in rules["publish"] | rules["subscribe"]:
            pattern = re.sub(r"^/camera/[^/]+/", "/camera/<name>/", name)
            assert pattern in known or name.startswith(robot), name


def test_services_and_actions_are_those_of_the_page_with_their_servers():
    services, actions = PAGE.split("## Services")[1].split("## Actions")
    for row in rows(services, 4) + rows(actions, 4):
        if not row[0].startswith("`"):
            continue
        name, rule = row[0].strip("`").replace("<name>", "top"), "execute" if row in rows(actions, 4) else "reply"
        assert executables(of(rule, f"/{name}")) == words(row[2]), name


def test_only_who_moves_the_arms_may_command_them():
    for arm in ("follower_left", "follower_right"):
        for command in ("joint_group", "joint_single"):
            assert of("publish", f"/{arm}/commands/{command}") == {"arm_driver"}
        assert of("publish", f"/{arm}/commands/joint_trajectory") == set()
    # People and their tools ask; of themselves they say how they are, and nothing on any topic of the graph.
    assert POLICY["operator"]["publish"] == COMMON


SHIPPED = {"policy": "act", "speed": "rainbow", **execution_needs("rainbow", "act", "transfer_cube")}
NAMES = {"top": "/cam_high/camera/color/image_rect_raw"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "nodes",
    [
        {"sim": {"cameras": ["top:48x64"]}, "episode": {}, "retimer": {}},
        {"task_policy": {"policy": "act"}, "speed_policy": SHIPPED},
        {
            "xs_sim": {"cameras": ["top:48x64"], "camera_driver": "realsense"},
            "arm_driver": {"interbotix__bring_up__timeout_s": 60.0},
            "camera_top": {"name": "top", "driver": "realsense", "topic": realsense_topic("top")},
        },
        {"recorder": {"cameras": ["top"]}},
    ],
    ids=lambda nodes: "+".join(nodes),
)
def test_what_running_nodes_use_is_allowed(graph, client, nodes, tmp_path):
    if "xs_sim" in nodes:
        pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")
    client.hear("/diagnostics")
    for node, parameters in nodes.items():
        folder = {"bag": tmp_path / "bag"} if node == "recorder" else {}
        graph.start("camera" if node.startswith("camera_") else node, node, **parameters, **folder)
    for node in nodes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}", 180.0)
    time.sleep(1.0)  # what is made after the first diagnostics is found too
    for node in nodes:
        for helper, namespace in client.get_node_names_and_namespaces():
            of_simulated = node == "xs_sim" and helper == "xs_sdk"
            if helper == node or helper.startswith(f"_{node}_") or of_simulated:
                assert denied(client, node, helper, namespace) == []


def denied(client, node, helper, namespace):
    """What `helper`, a node in the process of `node`, uses and may not."""
    found = []
    for kind, rule in RULES.items():
        for name, _ in getattr(client, f"get_{kind}_names_and_types_by_node")(helper, namespace):
            patterns = {p.replace("~", f"/{node}", 1) for p in NODES[node][rule]}
            action = "/_action/" in name and f"/{name.split('/')[1]}" in NODES[node]["execute"]
            if not action and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                found.append(f"{rule} {name}")
    return found
