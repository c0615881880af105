"""The whole pipeline in simulation: `ros2 launch speedtune_ros aloha_sim.launch.py --show-args`."""

from speedtune_ros.nodes.launching import describe


def generate_launch_description():
    return describe(robot="sim", robots=("sim",))
