"""What a policy is shown, and when: images of this episode, as of the state, not too old."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState

from speedtune_ros.aloha import JOINT_NAMES
from speedtune_ros.nodes.conversions import joints_to_message
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.observer import Observer
from speedtune_ros.nodes.refusal import Refused

TICK = 20_000_000
START = 100 * TICK


class Listener:
    """Keeps the callbacks a node would register, to choose what arrives when."""

    def __init__(self) -> None:
        self.callbacks = {}

    def listen(self, topic, callback, name=None, qos=None):
        self.callbacks[name or topic] = callback

    def state(self, stamp_ns: int) -> None:
        message = joints_to_message(stamp_ns, np.zeros(14), np.zeros(14))
        assert isinstance(message, JointState) and tuple(message.name) == JOINT_NAMES
        self.callbacks["joint_states"](message)

    def image(self, stamp_ns: int, grey: int) -> None:
        message = encode(np.full((4, 6, 3), grey, np.uint8), stamp_ns, "top")
        assert isinstance(message, Image)
        self.callbacks["camera/top/image_raw"](message)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def observer(listener):
    return Observer(listener, ["top"], exact=False, image_age_s=0.1, state_age_s=0.4)


def shade(observation) -> int:
    return int(observation.images["top"][0, 0, 0])


def test_the_newest_image_that_is_not_younger_than_the_state(listener, observer):
    for tick, grey in ((0, 10), (1, 11), (2, 12)):
        listener.image(START + tick * TICK, grey)
    listener.state(START + TICK)
    assert shade(observer.observe(START + TICK, 0.0)) == 11


def test_an_image_from_before_the_episode_shows_another_scene(listener, observer):
    listener.image(START - TICK, 10)
    listener.state(START)
    assert shade(observer.observe(START, 0.0)) == 10
    with pytest.raises(Refused, match="no image since the episode began") as refused:
        observer.observe(START, 0.0, START)
    assert refused.value.reason == "stale_image"
    listener.image(START + TICK, 11)  # a camera slower than the robot: the first one counts for the first tick
    assert shade(observer.observe(START, 0.0, START)) == 11


@pytest.fixture
def uncollected():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("arrives", [True, False])
def test_images_waited_for_leave_memory_without_a_garbage_collection(listener, observer, uncollected, arrives):
    """A second of four cameras is over 100 MB."""
    listener.image(START - TICK, 10)
    listener.state(START)
    if arrives:
        threading.Timer(0.05, listener.image, (START, 11)).start()
        assert shade(observer.observe(START, 5.0, START)) == 11
    else:
        with pytest.raises(Refused):
            observer.observe(START, 0.05, START)
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Refused)]
