"""Install the Debian packages that the node and the image builds need."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from localcluster.errors import MissingPrerequisiteError
from localcluster.progress import step

# program or file -> package
_NODE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nft": "nftables",
    "mount": "mount",
}
_IMAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",  # Ubuntu's debootstrap verifies Debian's signatures with it
}


def ensure_node_packages() -> None:
    """Install the missing packages for a node.

    Raises:
        MissingPrerequisiteError: This is not a Debian-like system.
        LocalClusterError: apt-get failed.
    """
    _ensure("the node", _NODE)


def ensure_image_packages() -> None:
    """Install the missing packages for image builds; raises like :func:`ensure_node_packages`."""
    _ensure("image builds", _IMAGES)


def _ensure(purpose: str, programs: Mapping[str, str]) -> None:
    missing = sorted({package for program, package in programs.items() if not _exists(program)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise MissingPrerequisiteError(
            f"Packages for {purpose} are missing: {', '.join(missing)}. Install them with your package manager."
        )
    names = " ".join(missing)
    with step(
        f"Install Debian packages for {purpose}: {names}",
        remedy=f"Try: apt-get update && apt-get install {names}",
    ) as this:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        options = ["-o", "DPkg::Lock::Timeout=300"]
        this.run(["apt-get", "update", *options], env=environment)
        this.run(["apt-get", "install", "-y", "--no-install-recommends", *options, *missing], env=environment)


def _exists(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None
