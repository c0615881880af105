"""What the user of the node graph chooses: launch arguments, options of `speedtune up`. No ROS is imported."""

from __future__ import annotations

from dataclasses import dataclass, replace

from speedtune_ros import bringup
from speedtune_ros.aloha import CAMERAS
from speedtune_ros.presets import DEFAULT_TASK, preset_names
from speedtune_ros.retiming.retimer import FACTORIES as RETIMERS
from speedtune_ros.tasks.task import TASKS

SWITCH = ("true", "false")


@dataclass(frozen=True)
class Argument:
    """A launch argument: text, its default, what it means, and its choices if there are any."""

    name: str
    default: str
    doc: str
    choices: tuple[str, ...] = ()


ARGUMENTS = (
    Argument(
        "robot", "sim", "which arms: `sim` is MuJoCo for driver and cameras, `real` the hardware", ("sim", "real")
    ),
    Argument(
        "xs_sim",
        "false",
        "whether simulated Interbotix arms and cameras stand in for the real ones, to robot:=real",
        SWITCH,
    ),
    Argument(
        "preset",
        "",
        f"a task of real arms with its cameras and limits: {', '.join(preset_names())}, or the path of a ROS parameter "
        "file like config/presets/<name>.yaml; laid over config/<node>.yaml",
    ),
    Argument(
        "task",
        "auto",
        f"what is to be done; `auto` is the preset's task, or without one {DEFAULT_TASK}",
        ("auto", *sorted(TASKS)),
    ),
    Argument(
        "policy",
        "act",
        "who predicts chunks: `act` (the shipped checkpoint), the path of a checkpoint folder, in simulation `expert`, "
        "which is scripted, or `rehearsal`, a slow motion above the table",
    ),
    Argument(
        "speed",
        "1.0",
        "ceiling on speed, 1 being as demonstrated: a number, or a speed policy and its argument as in `constant:2`",
    ),
    Argument(
        "k_skip",
        "",
        "control ticks between requests to the policies; empty: as the learned or shipped `speed` needs it, else as "
        "config/retimer.yaml and speed_policy.yaml say",
    ),
    Argument(
        "ensemble",
        "auto",
        "whether overlapping chunks are averaged (temporal ensembling); `auto`: as the learned or shipped `speed` "
        "needs it, else as config/retimer.yaml and speed_policy.yaml say",
        ("auto", *SWITCH),
    ),
    Argument("retimer", "linear", "how chunks are re-timed to that speed", tuple(sorted(RETIMERS))),
    Argument(
        "dynamics",
        "auto",
        "whose limits and lag apply, and in simulation how the arms respond; `auto` is `act` in simulation and "
        "`hardware` on the arms",
        ("auto", "act", "identified", "hardware"),
    ),
    Argument(
        "cameras",
        "auto",
        f"comma-separated cameras, each name or name:HEIGHTxWIDTH, as {', '.join(CAMERAS)}; `auto` for those the "
        "policy sees and the preset has, `none` for none",
    ),
    Argument("teleop", "false", "whether leader arms lead the real ones, in place of the policies", SWITCH),
    Argument(
        "leader_script",
        "false",
        "whether the simulated leaders move by themselves, as the task's expert would, to teleop:=true xs_sim:=true",
        SWITCH,
    ),
    Argument(
        "camera_driver",
        "auto",
        "who drives real cameras: `realsense` subscribes to realsense2_camera's topics, `v4l2` opens devices; `auto` "
        "is realsense, and with xs_sim neither",
        ("auto", *bringup.CAMERA_DRIVERS),
    ),
    Argument(
        "bringup",
        "none",
        "what of the robot's own software to start too: `arms` is Interbotix's xs_sdk for both followers, `cameras` "
        "realsense2_camera for each camera; `none` attaches to what runs",
        bringup.CHOICES,
    ),
    Argument("robot_model", "vx300s", "Interbotix's name of the followers, as vx300s or aloha_vx300s, for bringup"),
    Argument(
        "camera_serials",
        "",
        "serial numbers of the RealSense cameras, as cam_high:123622270123,cam_low:..., for bringup",
    ),
    Argument(
        "on_exit",
        "restart",
        "what follows when a camera, a policy or the recorder ends unasked: `restart` it, or `end` the graph; the end "
        "of any other node ends the graph, and the arms hold",
        ("restart", "end"),
    ),
    Argument(
        "enclave",
        "",
        "SROS2 enclave above those of the nodes, as /speedtune: each node starts in <enclave>/<its name>; empty: none",
    ),
    Argument("record", "false", "whether to write a bag (rosbag2, MCAP) of everything", SWITCH),
    Argument("bag", "", "folder of that bag; empty: the recorder names it by the time of day"),
    Argument(
        "lockstep", "false", "whether simulated time waits for the stages: not in real time, but repeatable", SWITCH
    ),
    Argument("real_time_factor", "1.0", "simulated seconds a second, in simulation without lock-step"),
    Argument("params", "", "comma-separated ROS parameter files laid over the package's config/<node>.yaml"),
)


def arguments(robot: str = "sim", robots: tuple[str, ...] = ("sim", "real")) -> tuple[Argument, ...]:
    """The launch arguments of a launch file whose `robot` is one of `robots` and by default `robot`."""
    return tuple(replace(a, default=robot, choices=robots) if a.name == "robot" else a for a in ARGUMENTS)
