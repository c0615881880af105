"""What every node has: parameters from a config dataclass, refusals counted by reason, diagnostics, a clean exit."""

from __future__ import annotations

import array
import faulthandler
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from speedtune_ros import config as configuration
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.nodes.spinner import spin_once
from speedtune_ros.nodes.topics import TOPICS
from speedtune_ros.provenance import version
from speedtune_ros.signals import Asked, ending

C = TypeVar("C")

# Declared by rclpy itself.
_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
_SPIN_S = 0.1  # a signal is noticed within this
_BEAT_S = 0.03
_ENDING_S = 4.0  # `speedtune up` and ros2 launch send SIGTERM after 5
_FAREWELL_S = 2.5  # for the middleware's end, after the node's own
_SWITCH_S = 0.001  # threads of one process wait for each other at most this long; Python's own 5 ms is a quarter tick


class StageNode(Node, Generic[C]):
    """A node configured by a dataclass, which reports once a second what it does and what it refused."""

    def __init__(self, name: str, config_class: type[C]) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True)
        self.counts: Counter[str] = Counter()
        self._role = name  # whatever it is renamed to
        self._beats: Cadence | None = None
        self._trouble = ""
        self._counted_before = 0
        try:
            self.config: C = self._declare(config_class)
        except ConfigError:
            self.destroy_node()
            raise
        self._diagnostics = self.publisher("/diagnostics")
        # Recorders embed it in the bag.
        self._version = version()
        self._config_text = yaml.safe_dump(configuration.to_dict(self.config), sort_keys=False)
        # Not the node's clock: that one stops with /clock.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.every(1.0, self._publish_diagnostics)

    def _declare(self, config_class: type[C]) -> C:
        given = {name: _plain(p.value) for name, p in self.get_parameters_by_prefix("").items()}
        given = {name: value for name, value in given.items() if not name.startswith(_FOREIGN)}
        config = configuration.build(config_class, given, f"{self.get_name()} parameters")
        for name in given:
            self.undeclare_parameter(name)
        for name, hint, field in configuration.leaves(config_class):
            value = config
            for part in name.split("."):
                value = getattr(value, part)
            self.declare_parameter(name, _wire(value), _descriptor(hint, field.metadata), ignore_override=True)
        return config

    def publisher(self, topic: str, name: str | None = None) -> Publisher:
        """A publisher of a topic of the table; `name` where the table's name is a pattern."""
        row = TOPICS[topic]
        return self.create_publisher(row.type, name or topic, row.offered)

    def listen(
        self, topic: str, callback: Callable[[Any], None], name: str | None = None, qos: QoSProfile | None = None
    ) -> Subscription:
        """Subscribe to a topic of the table. What `callback` raises is counted and logged; the node lives on."""
        row = TOPICS[topic]
        return self.create_subscription(row.type, name or topic, self.guarded(callback), qos or row.requested)

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back on a steady clock."""
        self.create_timer(period_s, self.guarded(callback), clock=self._steady)

    def beat(self, name: str = "") -> None:
        """Say `alive` until the node ends, from a thread of its own: the arm driver holds where it misses that.

        name: who says so, by default what the node is, whatever it is renamed to.
        DDS' own liveliness does the same, but every process then tells every other one: at such a rate that took a
        quarter of a core for seven processes.
        """
        publisher = self.publisher("alive")

        def say() -> None:
            if publisher.get_subscription_count():
                message = _now(self)
                message.frame_id = name or self._role
                publisher.publish(message)

        self._beats = Cadence(_BEAT_S, self.guarded(say), "alive")
        self._beats.start()

    def destroy_node(self) -> None:
        if self._beats is not None:
            self._beats.stop()
        super().destroy_node()

    def guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """`callback` at the node's boundary: whatever it raises is counted, and nothing moves because of it."""

        def call(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except InvalidHandle:
                pass  # being shut down
            except Exception as error:  # noqa: BLE001 - the boundary: a node holds and lives on
                self.refuse(error)

        # rclpy looks at the annotations to tell serialised from decoded callbacks.
        call.__wrapped__ = callback  # type: ignore[attr-defined]
        return call

    def refuse(self, error: Exception) -> None:
        """Count an error under its reason and log it."""
        expected = isinstance(error, SpeedtuneError)
        reason = error.reason if isinstance(error, Refused) else ("invalid_input" if expected else "internal_error")
        self.counts[f"refused.{reason}"] += 1
        self._trouble = str(error) if expected else f"{type(error).__name__}: {error}"
        self.get_logger().warning(f"{reason}: {self._trouble}", throttle_duration_sec=1.0)

    def fail(self, reason: str, message: str) -> None:
        """Count and log something that went wrong without an exception."""
        self.refuse(Refused(reason, message))

    def diagnose(self) -> Mapping[str, object]:
        """What this node adds to its diagnostics."""
        return {}

    def level(self) -> tuple[bytes, str]:
        """Level and message of the diagnostics; a warning while new refusals come in."""
        total = sum(self.counts.values())
        fresh, self._counted_before = total > self._counted_before, total
        return (DiagnosticStatus.WARN, self._trouble) if fresh else (DiagnosticStatus.OK, "running")

    def _publish_diagnostics(self) -> None:
        level, message = self.level()
        values = {**self.diagnose(), **self.counts, "process_id": os.getpid(), "version": self._version}
        values["config"] = self._config_text
        status = DiagnosticStatus(level=level, name=self.get_fully_qualified_name().lstrip("/"), message=message)
        status.values = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
        self._diagnostics.publish(DiagnosticArray(header=_now(self), status=[status]))

    def close(self) -> None:
        """Stop threads and let go of devices; called once, while the node can still publish."""


def run(make: Callable[[], StageNode[Any]], arguments: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT or SIGTERM: 0. A bad configuration or command line is one line and 2.

    One that has not ended some seconds later writes to stderr where each of its threads stands.
    """
    making = first = True

    def made() -> None:
        nonlocal making
        making = False

    def interrupt() -> None:
        nonlocal making, first
        if first:
            first = False
            faulthandler.dump_traceback_later(_ENDING_S)
        if making:  # a driver waits for its arms as long as it takes
            making = False
            raise KeyboardInterrupt

    with ending(interrupt) as asked:
        try:
            return _run(make, arguments, asked, made)
        except KeyboardInterrupt:
            rclpy.try_shutdown()
            return 0


def _run(
    make: Callable[[], StageNode[Any]], arguments: Sequence[str] | None, asked: Asked, made: Callable[[], None]
) -> int:
    try:
        # rclpy's own handlers shut the context down first, and a stopping node could no longer say so.
        rclpy.init(args=None if arguments is None else list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # what rcl's errors derive from
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2
    sys.setswitchinterval(_SWITCH_S)
    try:
        node = make()
        made()
    except SpeedtuneError as error:
        sys.stderr.write(f"{error}\n")
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status = 1
    try:
        while not asked.to_end:
            spin_once(executor, _SPIN_S)
        status = 0
    finally:
        node.close()
        _end_within(_FAREWELL_S, status)
        executor.shutdown(timeout_sec=2.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _end_within(seconds: float, status: int) -> None:
    """End the process after so long, whatever the middleware does: its main node has let go of everything by now.

    With `status`, and with 1 where the middleware holds Python's lock, so that no thread can.
    """
    faulthandler.dump_traceback_later(seconds + 0.5, exit=True)

    def end() -> None:
        try:
            sys.stderr.write("the middleware does not end; ended without it, while its threads stood here:\n")
            faulthandler.dump_traceback()
        finally:
            os._exit(status)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _now(node: Node) -> Any:
    from std_msgs.msg import Header

    return Header(stamp=node.get_clock().now().to_msg())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (array.array, tuple)) else value


def _wire(value: Any) -> Any:
    """A config value as a parameter: paths as text, no path as the empty text."""
    if value is None:
        return ""
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _descriptor(hint: Any, metadata: Mapping[str, Any]) -> ParameterDescriptor:
    """A read-only parameter's descriptor: what the config says of it, with its range."""
    choices = metadata.get("choices") or ()
    descriptor = ParameterDescriptor(description=metadata.get("doc", ""), read_only=True)
    if choices:
        descriptor.additional_constraints = f"one of {', '.join(choices)}"
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if low is None and high is None:
        return descriptor
    if hint is float:
        low, high = (-sys.float_info.max if low is None else low), (sys.float_info.max if high is None else high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif hint is int:
        low, high = (-(2**63) if low is None else low), (2**63 - 1 if high is None else high)
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor
