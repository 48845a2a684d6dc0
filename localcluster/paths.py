"""Folders of the cache, which ``down`` keeps, and of the local cluster's state."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent

# One cluster per machine, because its bridge, ports and device plugin folder exist once.
STATE = Path("/var/lib/vott-train")
RUN = Path("/run/vott-train")  # sockets (paths are limited to 107 characters) and files that must not survive a reboot
TOOLS = STATE / "bin"  # kubectl and helm, for PATH
GPUS = STATE / "gpus"  # number of simulated GPUs of the running cluster
LOCK = Path("/run/lock/vott-train.lock")


@cache
def cache_folder() -> Path:
    """Folder of programs, tools, images and build caches: ``$VOTT_TRAIN_CACHE``, or ``vott-train`` in the user's cache."""
    if configured := os.environ.get("VOTT_TRAIN_CACHE"):
        folder = Path(configured).expanduser().absolute()
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vott-train"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class StateFolder:
    """The files of one cluster or control plane."""

    root: Path

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """The programs' configuration files."""
        return self.root / "config"

    @property
    def etcd(self) -> Path:
        """etcd's data."""
        return self.root / "etcd"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "admin.kubeconfig"

    def create(self) -> "StateFolder":
        """Create the folders, accessible by their owner only, because they contain keys."""
        for folder in (self.root, self.pki, self.logs, self.config):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self
