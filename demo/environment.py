"""Where the demo runs: the local cluster, or the one that the user's KUBECONFIG names."""

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
NEEDED = {
    "OPERATOR_IMAGE": "the operator's image, as the cluster pulls it",
    "TRAINER_IMAGE": "the trainer's image, as the cluster pulls it",
    "AZURE_STORAGE_CONNECTION_STRING": "a storage account that this host and the cluster's pods reach",
}


@dataclass(frozen=True)
class Site:
    """A cluster with the operator in it, and the storage account that it listens to."""

    kubeconfig: str
    namespace: str
    queue: str
    storage: str
    host_address: str | None


def find_site(environ: Mapping[str, str] = os.environ) -> Site:
    """The cluster to use, with the operator installed and ready.

    Raises `SetupError` where something has to be set first.
    """
    if wants_local(environ, read_env(LOCAL_ENV)):
        return local_site(start_local())
    site = own_site(environ)
    click.echo(f"Installing the operator in namespace {site.namespace} with Helm …")
    images = environ["OPERATOR_IMAGE"], environ["TRAINER_IMAGE"]
    settings = values(site.storage, site.queue, *images, site.host_address)
    Release(site.kubeconfig, site.namespace).install(settings)
    return site


def wants_local(environ: Mapping[str, str], local: Mapping[str, str]) -> bool:
    """Whether the local cluster is meant: no KUBECONFIG, the local cluster's own, or VOTT_TRAIN_LOCAL=1."""
    kubeconfig = environ.get("KUBECONFIG")
    # The shell may have sourced `.local/env` before a `make down` that removed it.
    locals_own = (local.get("KUBECONFIG"), str(StateFolder(STATE).kubeconfig))
    return environ.get("VOTT_TRAIN_LOCAL") == "1" or not kubeconfig or kubeconfig in locals_own


def start_local(*options: str) -> dict[str, str]:
    """Start the local cluster, which says itself what it does and what it lacks; return what `.local/env` says then."""
    outcome = subprocess.run([sys.executable, "-m", "localcluster", "up", *options], check=False)
    if outcome.returncode:
        sys.exit(outcome.returncode)
    return read_env(LOCAL_ENV)


def local_site(env: Mapping[str, str]) -> Site:
    """The local cluster, by its `.local/env`."""
    return Site(
        kubeconfig=env["KUBECONFIG"],
        namespace=env["NAMESPACE"],
        queue=env["QUEUE_NAME"],
        storage=env["AZURE_STORAGE_CONNECTION_STRING"],
        host_address=env["HOST_ADDRESS"],
    )


def own_site(environ: Mapping[str, str]) -> Site:
    """The user's cluster. Raises `SetupError` that names everything that is missing."""
    missing = [f"{name} ({meaning})" for name, meaning in NEEDED.items() if not environ.get(name)]
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
    """The variables of a file of `export NAME=value` lines; none where there is no such file."""
    if not path.exists():
        return {}
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)
