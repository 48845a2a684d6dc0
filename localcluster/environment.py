"""The shell file ``.local/env``, which sets the variables to use the cluster."""

import shlex
from pathlib import Path

from localcluster import settings
from localcluster.cluster import Access
from localcluster.files import write_if_changed
from localcluster.kubectl import kubectl_path
from localcluster.paths import CHECKOUT, TOOLS
from localcluster.proxies import shell_lines

FILE = CHECKOUT / ".local" / "env"


def environment(access: Access, images: dict[str, str]) -> dict[str, str]:
    """Variables to reach the cluster, the queue and the storage account, from this host and from pods."""
    return {
        "KUBECONFIG": str(access.kubeconfig),
        "AZURE_STORAGE_CONNECTION_STRING": access.storage_connection_string,
        "QUEUE_NAME": settings.QUEUE,
        "NAMESPACE": settings.NAMESPACE,
        "HOST_ADDRESS": settings.HOST_ADDRESS,
        **{f"{name.upper()}_IMAGE": reference for name, reference in images.items()},
    }


def environment_text(variables: dict[str, str]) -> str:
    """The variables as shell lines. This machine's kubectl and helm take precedence over the cluster's."""
    lines = [f"export {name}={_quoted(value)}" for name, value in variables.items()]
    direct = shell_lines(settings.DIRECT_ADDRESSES)
    return "\n".join([*lines, *direct, f'export PATH="$PATH:{TOOLS}"', ""])


def write_environment(variables: dict[str, str]) -> Path:
    """Write ``.local/env``, readable by its owner only, because it contains keys."""
    return write_if_changed(FILE, environment_text(variables))


def link_tools(binaries: Path) -> Path:
    """Link kubectl and helm, but no other program of the cluster, into a folder for PATH."""
    TOOLS.mkdir(exist_ok=True)
    for name, program in {"kubectl": kubectl_path(), "helm": binaries / "helm"}.items():
        link = TOOLS / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return TOOLS


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
