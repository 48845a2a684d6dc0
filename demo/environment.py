"""Select the demo's cluster: the local one, or that of the user's KUBECONFIG."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from demo.chart import Release, values
from demo.errors import SetupError
from localcluster.paths import STATE, StateFolder

LOCAL = Path(__file__).resolve().parent.parent / ".local"
LOCAL_ENV = LOCAL / "env"
REQUIRED = {
    "OPERATOR_IMAGE": "the operator's image in a registry",
    "TRAINER_IMAGE": "the trainer's image in a registry",
    "AZURE_STORAGE_CONNECTION_STRING": "a storage account that this host and the cluster's pods can reach",
}


@dataclass(frozen=True)
class Site:
    """A cluster with the operator, and the storage account of its queue."""

    kubeconfig: str
    namespace: str
    queue: str
    storage: str
    host_address: str | None


def find_site(environ: Mapping[str, str] = os.environ) -> Site:
    """The cluster to use, with the operator installed and ready.

    Raises SetupError if a variable or program is missing.
    """
    if uses_local_cluster(environ, read_env(LOCAL_ENV)):
        return local_site(start_local())
    site = user_site(environ)
    click.echo(f"Installing the operator in namespace {site.namespace} with Helm …")
    images = environ["OPERATOR_IMAGE"], environ["TRAINER_IMAGE"]
    settings = values(site.storage, site.queue, *images, site.host_address)
    Release(site.kubeconfig, site.namespace).install(settings)
    return site


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


def local_site(env: Mapping[str, str]) -> Site:
    """The local cluster, according to the variables of `.local/env`."""
    return Site(
        kubeconfig=env["KUBECONFIG"],
        namespace=env["NAMESPACE"],
        queue=env["QUEUE_NAME"],
        storage=env["AZURE_STORAGE_CONNECTION_STRING"],
        host_address=env["HOST_ADDRESS"],
    )


def user_site(environ: Mapping[str, str]) -> Site:
    """The user's cluster. Raises SetupError with all missing variables."""
    missing = [f"{name} ({meaning})" for name, meaning in REQUIRED.items() if not environ.get(name)]
    if missing:
        raise SetupError(
            f"KUBECONFIG is set, so the demo runs on that cluster and needs {', '.join(missing)};"
            " or set VOTT_TRAIN_LOCAL=1 for a cluster on this machine."
        )
    return Site(
        kubeconfig=environ["KUBECONFIG"],
        namespace=environ.get("NAMESPACE") or "vott-train",
        queue=environ.get("QUEUE_NAME") or "training",
        storage=environ["AZURE_STORAGE_CONNECTION_STRING"],
        host_address=environ.get("HOST_ADDRESS") or None,
    )


def read_env(path: Path) -> dict[str, str]:
    """The variables of a file with `export NAME=value` lines; empty if it is missing."""
    if not path.exists():
        return {}
    tokens = shlex.split(path.read_text(), comments=True)
    return dict(token.split("=", 1) for token in tokens if "=" in token)
