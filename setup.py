"""Package speedtune_ros, for colcon (ament_python) and for pip."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.develop import develop

PACKAGE = "speedtune_ros"
NODES = (
    "camera",
    "task_policy",
    "speed_policy",
    "retimer",
    "arm_driver",
    "sim",
    "episode",
    "recorder",
    "replay",
    "xs_sim",
    "teleop",
    "leader_script",
)
ROOT = Path(__file__).resolve().parent


def files(folder: str) -> list:
    """(destination, files) for each folder under `folder`, as data_files takes them."""
    sources = [
        path for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    ]
    relative = [path.relative_to(ROOT) for path in sources]
    parents = sorted({path.parent for path in relative})
    return [
        (str(Path("share", PACKAGE, parent)), [str(path) for path in relative if path.parent == parent])
        for parent in parents
    ]


def package_data() -> list:
    """Everything in the package that is not Python: checkpoints, report pages. (`**` needs setuptools 62.)"""
    package = ROOT / PACKAGE
    paths = (path for path in sorted(package.rglob("*")) if path.is_file())
    return [str(path.relative_to(package)) for path in paths if path.suffix not in (".py", ".pyc")]


# Where `ros2 run` looks. setuptools 80 dropped develop's script_dir, and fails on it when it stands in setup.cfg.
options = {"install": {"install_scripts": f"$base/lib/{PACKAGE}"}}
if any(option.startswith("script-dir") for option, *_ in develop.user_options):
    options["develop"] = {"script_dir": f"$base/lib/{PACKAGE}"}

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Run chunk-predicting policies on the bimanual ALOHA faster than they were demonstrated",
    license="Apache-2.0",
    maintainer="speedtune_ros contributors",
    maintainer_email="speedtune-ros@users.noreply.github.com",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: package_data()},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *files("launch"),
        *files("config"),
    ],
    # Versions are pinned in config/requirements.txt; rosdep reads package.xml.
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "speedtune = speedtune_ros.cli:main",
            *(f"{node} = {PACKAGE}.nodes.{node}:main" for node in NODES),
        ],
    },
    options=options,
)
