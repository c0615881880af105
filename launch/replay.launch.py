"""A bag through today's stages, with no robot: `ros2 launch speedtune_ros replay.launch.py bag:=FOLDER`."""

from speedtune_ros import replay_graph
from speedtune_ros.nodes.launching import describe_graph


def generate_launch_description():
    return describe_graph(replay_graph.ARGUMENTS, replay_graph.processes)
