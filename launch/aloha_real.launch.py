"""The pipeline on the arms; `robot:=sim` puts the simulator in place of arm driver and cameras."""

from speedtune_ros.nodes.launching import describe


def generate_launch_description():
    return describe(robot="real")
