"""Where things lie: the cache (kept by ``down``), and the state of the one cluster with a node that a machine can have."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent

# The cluster's bridge, ports and device plugin folder exist once per machine, and so does its state.
STATE = Path("/var/lib/vott-train")
RUN = Path(
    "/run/vott-train"
)  # sockets (their paths may have 107 characters at most) and what must not outlive a reboot
TOOLS = STATE / "bin"  # kubectl and helm for a person's PATH
GPUS = STATE / "gpus"  # how many the running cluster pretends to have
LOCK = Path("/run/lock/vott-train.lock")


@cache
def cache_folder() -> Path:
    """The folder of built programs, tools, images and their build caches: ``$VOTT_TRAIN_CACHE`` or ``vott-train`` in the user's cache."""
    if own := os.environ.get("VOTT_TRAIN_CACHE"):
        folder = Path(own).expanduser().absolute()
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
        """One log a program."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Configuration files that are written for the programs."""
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
        """Make the folders; private, since keys lie in them."""
        for folder in (self.root, self.pki, self.logs, self.config):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self
