"""What a node raises when a message breaks its contract."""

from speedtune_ros.errors import Refused as Refused
