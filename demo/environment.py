"""Select who trains: the local cluster, that of the user's KUBECONFIG, or the daemon on this machine without a cluster."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from demo.chart import Release, values
from demo.cluster import ClusterConsumer
from demo.consumer import Consumer
from demo.daemon import Daemon
from demo.errors import SetupError
from demo.kubectl import Kubectl
from localcluster.azurite import Azurite
from localcluster.paths import STATE, StateFolder
from localcluster.proxies import bypass_proxies
from localcluster.settings import QUEUE

LOCAL = Path(__file__).resolve().parent.parent / ".local"
LOCAL_ENV = LOCAL / "env"
REQUIRED = {
    "OPERATOR_IMAGE": "the operator's image in a registry",
    "TRAINER_IMAGE": "the trainer's image in a registry",
    "AZURE_STORAGE_CONNECTION_STRING": "a storage account that this host and the cluster's pods can reach",
}
DEFAULTS = {"NAMESPACE": "vott-train", "QUEUE_NAME": "training"}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """A consumer, and the storage account of its queue."""

    consumer: Consumer
    queue: str
    storage: str
    host_address: str | None
    is_temporary: bool = False
    """Whether it ends with the demo, the storage account included."""


@contextmanager
def daemon_site(log: Path) -> Iterator[Site]:
    """The daemon and a storage emulator as processes on this machine, until the end of the block.

    Args:
        log: file for the daemon's output.

    Raises:
        LocalClusterError: the emulator can't be installed, or does not start.
    """
    bypass_proxies(os.environ, [LOOPBACK])
    with Azurite(LOOPBACK) as azurite, Daemon(azurite.connection_string, QUEUE, LOOPBACK, log) as daemon:
        click.echo("The daemon traind.py and the storage emulator Azurite run on this machine until the demo ends.")
        yield Site(daemon, QUEUE, azurite.connection_string, LOOPBACK, is_temporary=True)


def cluster_site(environ: Mapping[str, str] = os.environ) -> Site:
    """The cluster to use, with the operator installed and ready.

    Raises SetupError if a variable or program is missing.
    """
    if uses_local_cluster(environ, read_env(LOCAL_ENV)):
        return _site(start_local())
    variables = user_variables(environ)
    _install_operator(variables)
    return _site(variables)


def uses_local_cluster(environ: Mapping[str, str], local: Mapping[str, str]) -> bool:
    """Whether to use the local cluster: no KUBECONFIG, the local cluster's, or VOTT_TRAIN_LOCAL=1."""
    kubeconfig = environ.get("KUBECONFIG")
    # After `make down` the shell may still have the variables of `.local/env`.
    local_kubeconfigs = (local.get("KUBECONFIG"), str(StateFolder(STATE).kubeconfig))
    return environ.get("VOTT_TRAIN_LOCAL") == "1" or not kubeconfig or kubeconfig in local_kubeconfigs


def start_local(*options: str) -> dict[str, str]:
    """Start the local cluster, which prints its own progress and errors; return the variables of `.local/env`."""
    result = subprocess.run([sys.executable, "-m", "localcluster", "up", *options], check=False)
    if result.returncode:
        sys.exit(result.returncode)
    return read_env(LOCAL_ENV)


def user_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the user's cluster, with defaults. Raises SetupError with all missing variables."""
    missing = [f"{name} ({meaning})" for name, meaning in REQUIRED.items() if not environ.get(name)]
    if missing:
        raise SetupError(
            f"KUBECONFIG is set, so the demo runs on that cluster and needs {', '.join(missing)};"
            " or set VOTT_TRAIN_LOCAL=1 for a cluster on this machine, or LOCAL=1 to train without one."
        )
    names = ("KUBECONFIG", *REQUIRED, *DEFAULTS, "HOST_ADDRESS")
    return DEFAULTS | {name: environ[name] for name in names if environ.get(name)}


def _install_operator(variables: Mapping[str, str]) -> None:
    namespace, host = variables["NAMESPACE"], variables.get("HOST_ADDRESS")
    click.echo(f"Installing the operator in namespace {namespace} with Helm …")
    images = variables["OPERATOR_IMAGE"], variables["TRAINER_IMAGE"]
    settings = values(variables["AZURE_STORAGE_CONNECTION_STRING"], variables["QUEUE_NAME"], *images, host)
    Release(variables["KUBECONFIG"], namespace).install(settings)


def _site(variables: Mapping[str, str]) -> Site:
    """The cluster that these variables describe."""
    kubectl = Kubectl(variables["KUBECONFIG"], variables["NAMESPACE"])
    storage = variables["AZURE_STORAGE_CONNECTION_STRING"]
    return Site(ClusterConsumer(kubectl), variables["QUEUE_NAME"], storage, variables.get("HOST_ADDRESS"))


def read_env(path: Path) -> dict[str, str]:
    """The variables of a file with `export NAME=value` lines; empty if it is missing."""
    if not path.exists():
        return {}
    tokens = shlex.split(path.read_text(), comments=True)
    return dict(token.split("=", 1) for token in tokens if "=" in token)
