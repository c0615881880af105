"""Real processes on a ROS domain of their own, and a client that talks to them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")

from action_msgs.srv import CancelGoal  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from speedtune_msgs.action import RunEpisode  # noqa: E402
from speedtune_ros.graph import environment  # noqa: E402
from speedtune_ros.nodes.episode_client import cancel_of_nothing  # noqa: E402
from speedtune_ros.nodes.topics import EVENTS, TOPICS  # noqa: E402

DOMAINS = range(20, 100)  # all that never meet the ephemeral ports
PATIENCE = 60.0  # [s] on a loaded machine


class Client(Node):
    """A node of the test's own: hears topics of the table, calls services, runs episodes."""

    def __init__(self, context: Context) -> None:
        super().__init__("test_client", context=context)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)
        self._subscribed: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(0.05)

    def hear(self, *topics: str) -> None:
        """Keep every message of these topics in `heard`."""
        for topic in set(topics) - self._subscribed:
            self._subscribed.add(topic)
            pattern = "camera/<name>/image_raw" if topic.startswith("camera/") else topic
            row = TOPICS[pattern]
            qos = EVENTS if pattern != topic else row.offered
            self.create_subscription(row.type, topic, self._keep(topic), qos)

    def _keep(self, topic: str) -> Callable[[Any], None]:
        return lambda message: self.heard[topic].append(message)

    def speak(self, topic: str) -> Any:
        """A publisher of a topic, once somebody listens."""
        publisher = self.create_publisher(TOPICS[topic].type, topic, TOPICS[topic].offered)
        self.until(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")
        return publisher

    def until(self, met: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Wait until `met` returns something true, and return it."""
        deadline = time.monotonic() + timeout
        while not (value := met()):
            assert time.monotonic() < deadline, f"no {what} within {timeout} s"
            time.sleep(0.01)
        return value

    def call(self, kind: Any, name: str, /, **fields: Any) -> Any:
        client = self.create_client(kind, name)
        assert client.wait_for_service(timeout_sec=PATIENCE), f"no service {name}"
        time.sleep(0.2)
        future = client.call_async(kind.Request(**fields))
        return self.until(lambda: future.done() and future, f"answer of {name}").result()

    def send(self, kind: Any, name: str, **fields: Any) -> Any:
        """An accepted goal's handle, or None if it was rejected."""
        client = ActionClient(self, kind, name)
        assert client.wait_for_server(timeout_sec=PATIENCE), f"no action {name}"
        self._be_found(name)
        handle = self._reply(lambda: client.send_goal_async(kind.Goal(**fields)), f"reply of {name}", PATIENCE)
        return handle if handle.accepted else None

    def _be_found(self, action: str) -> None:
        """Until its server knows the action client just made: it drops a reply to one that it has not found yet."""
        client = self.create_client(CancelGoal, f"{action}/_action/cancel_goal")
        assert client.wait_for_service(timeout_sec=PATIENCE), f"no action {action}"
        answered = threading.Event()
        for _ in range(20):
            client.call_async(cancel_of_nothing()).add_done_callback(lambda _: answered.set())
            if answered.wait(PATIENCE / 20):
                return
        pytest.fail(f"{action} does not answer")

    def send_goal(self, **fields: Any) -> Any:
        """The handle of an episode under way."""
        handle = self.send(RunEpisode, "run_episode", **fields)
        assert handle is not None, "the goal was rejected"
        return handle

    def cancel(self, handle: Any) -> None:
        self._reply(handle.cancel_goal_async, "answer to a cancel", PATIENCE)

    def result(self, handle: Any, timeout: float = PATIENCE) -> Any:
        return self._reply(handle.get_result_async, "result", timeout).result

    def _reply(self, send: Callable[[], Any], what: str, timeout: float) -> Any:
        """What an action's server answers to `send`, called where answers are taken: rclpy's action clients have no
        lock, and drop an answer that another thread takes before `send` has noted what it sent."""
        sent = self._executor.create_task(send)
        return self.until(lambda: sent.done() and sent.result().done() and sent.result(), what, timeout).result()

    def policies(self, *nodes: str) -> None:
        """Until these policies hear requests. In lock-step one that comes up late costs the episode its first chunk."""
        listening = lambda: {info.node_name for info in self.get_subscriptions_info_by_topic("/inference_request")}  # noqa: E731
        self.until(lambda: listening() >= set(nodes), f"{' and '.join(nodes)} that listen")

    def run_episode(self, timeout: float = PATIENCE, **fields: Any) -> Any:
        return self.result(self.send_goal(**fields), timeout)

    def diagnostics(self, node: str) -> dict[str, str]:
        """What `node` said last about itself; needs `hear("/diagnostics")`."""
        for message in reversed(list(self.heard["/diagnostics"])):
            for status in message.status:
                if status.name == node:
                    return {"message": status.message} | {value.key: value.value for value in status.values}
        return {}

    def counted(self, node: str, key: str) -> int:
        return int(self.diagnostics(node).get(key, 0))

    def close(self) -> None:
        self._ending.set()
        self._thread.join(timeout=5.0)
        self._executor.shutdown(timeout_sec=2.0)
        self.destroy_node()


class Graph:
    """Node processes on one domain; all of them end with the test."""

    def __init__(self, domain: int, logs: Path) -> None:
        self._logs = logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            **environment({}),
            "OMP_NUM_THREADS": "1",
            "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"),
            "PYTHONUNBUFFERED": "1",
        }
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain, args=[])
        self.client = Client(self.context)

    def start(self, node: str, label: str = "", /, **parameters: Any) -> subprocess.Popen[bytes]:
        """Start an executable as node `label`; a double underscore in a parameter's name stands for a dot."""
        arguments = [f"{key.replace('__', '.')}:={_yaml(value)}" for key, value in parameters.items()]
        flags = [text for argument in arguments for text in ("-p", argument)]
        remap = ["-r", f"__node:={label}"] if label else []
        label = label or node
        command = [sys.executable, "-m", f"speedtune_ros.nodes.{node}", "--ros-args", *flags, *remap]
        with open(self._logs / f"{label}.log", "wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        self.processes[label] = process
        return process

    def log(self, label: str) -> str:
        return (self._logs / f"{label}.log").read_text()

    def wait(self, label: str, timeout: float = PATIENCE) -> int:
        """The exit status of a process that is about to end."""
        return self.processes[label].wait(timeout)

    def close(self) -> None:
        self.client.close()
        rclpy.shutdown(context=self.context)
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(f"'{item}'" for item in value) + "]" if isinstance(value, (list, tuple)) else str(value)


@contextmanager
def free_domain() -> Iterator[int]:
    """A domain that no other test process on this machine uses."""
    for number in DOMAINS:
        path = Path(tempfile.gettempdir()) / f"speedtune_test_domain_{number}"
        with open(path, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield number
            return
    pytest.fail("no ROS domain is free")


@pytest.fixture(scope="module")
def unhurried() -> None:
    """For tests of motion in real time: skip where other work leaves this process less than a third of a core."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.3:
        pass
    share = 0.3 / (time.perf_counter() - wall)
    if share < 1.0 / 3.0:
        pytest.skip(f"the machine is too busy for real time: {100 * share:.0f} % of a core is left")


@pytest.fixture(scope="module")
def domain() -> Iterator[int]:
    with free_domain() as number:
        yield number


@pytest.fixture(scope="module")
def graph(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        for variable, value in environment({}).items():
            patch.setenv(variable, value)
        graph = Graph(domain, tmp_path_factory.mktemp("logs"))
        try:
            yield graph
        finally:
            graph.close()


@pytest.fixture(scope="module")
def client(graph: Graph) -> Client:
    return graph.client


CAMERA_SIZE = (48, 64)


@pytest.fixture(scope="session")
def act_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained: its targets are noise about the start pose that depends on every pixel of two cameras."""
    torch = pytest.importorskip("torch")
    from dataclasses import asdict

    from speedtune_ros.aloha import start_pose
    from speedtune_ros.policies.act_network import ActConfig, ActNetwork
    from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint

    config = ActConfig(horizon=40, hidden=24, feedforward=32, heads=2, latent=4, stem_width=8, widths=(8, 16))
    stats = {"mean": start_pose().tolist(), "std": [0.3] * 14}
    card = CheckpointCard(
        task="transfer_cube",
        profile="act",
        policy="act",
        kind="command",
        horizon=config.horizon,
        dt=0.02,
        cameras={"top": CAMERA_SIZE, "left_wrist": CAMERA_SIZE},
        normalisers={"states": stats, "targets": stats},
        config=asdict(config),
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("act")
    write_checkpoint(folder, card, ActNetwork(config, 2).state_dict())
    return folder


@pytest.fixture(scope="session")
def rainbow_checkpoint(act_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, beside `act_checkpoint`: its speeds depend on images, joints and what was executed before."""
    import numpy as np

    from speedtune_ros.config import to_dict
    from speedtune_ros.policies.act import load
    from speedtune_ros.speed import rainbow
    from speedtune_ros.speed.checkpoint import SpeedCard, write_speed_checkpoint
    from speedtune_ros.speed.features import FeatureConfig
    from speedtune_ros.speed.network import NetworkConfig
    from speedtune_ros.speed.projection import Projection

    info = load(act_checkpoint).info
    encoded = 2 * 24 * len(info.cameras)  # row and column of each channel's strongest place
    projection = Projection(np.zeros(encoded), np.random.default_rng(0).standard_normal((encoded, 6)))
    features = FeatureConfig(k_stack=2)
    network = NetworkConfig(hidden=32, atoms=21, sigma=2.0)
    card = SpeedCard(
        task=info.task,
        profile=info.profile,
        policy=info.name,
        policy_digest=info.digest,
        k_skip=10,
        speeds=(1.0, 1.5, 2.0, 3.0),
        features=to_dict(features),
        scale={"time_limit": 8.0, "chunk_length": 0.8},
        pooling="keypoints",
        network=to_dict(network),
        bounds=(0.0, 120.0),
    )
    size = 14 + 14 + 5 + projection.size
    agent = rainbow.make(rainbow.RainbowConfig(network), size, features.k_stack, len(card.speeds), card.bounds, 4)
    folder = tmp_path_factory.mktemp("rainbow")
    weights = {
        name: 4.0 * weight for name, weight in agent.network.state_dict().items()
    }  # so that what it sees matters
    write_speed_checkpoint(folder, card, weights, projection)
    return folder


@pytest.fixture(scope="session")
def lockstep_bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bag of two episodes of the same scene, at 2x and 3x: ACT on a lock-step simulator, every pixel kept."""
    folder = tmp_path_factory.mktemp("lockstep")
    nodes = {
        "recorder": {"bag": folder / "bag", "cameras": ["top"], "lossless": True},
        "sim": {"lockstep": True, "cameras": ["top:192x192"]},
        "retimer": {"lockstep": True},
        "task_policy": {"lockstep": True, "policy": "act"},
        "speed_policy": {"lockstep": True, "speed": "constant:2"},
        "episode": {"silence_timeout_s": 20.0},
    }
    with free_domain() as domain:
        graph = Graph(domain, folder)
        try:
            for name, parameters in nodes.items():
                graph.start(name, **parameters)
            graph.client.hear("/diagnostics")
            for name in nodes:
                graph.client.until(lambda name=name: graph.client.diagnostics(name), f"diagnostics of {name}")
            for mode in ("constant:2", "constant:3"):
                graph.client.run_episode(seed=9003, speed_mode=mode, record=True, timeout=120.0)
            graph.processes["recorder"].send_signal(signal.SIGINT)
            assert graph.wait("recorder") == 0
        finally:
            graph.close()
    yield folder / "bag"
