"""Enforce NetworkPolicies with nft: ``python -m localcluster.network_policy_engine KUBECONFIG``."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from localcluster import network_policy_rules
from localcluster.errors import LocalClusterError
from localcluster.kubectl import kubectl, kubectl_json, kubectl_path
from localcluster.paths import CHECKOUT
from localcluster.program import Program
from localcluster.settings import POLICY_TABLE

USER = "system:policy-engine"
_KINDS = ("networkpolicies", "pods", "namespaces")
_DEBOUNCE_SECONDS = 0.2  # changes often come together
_RESYNC_SECONDS = 30
_RETRY_SECONDS = 1


def policy_engine_program(kubeconfig: Path) -> Program:
    """The engine as a program of the cluster; ready once the nft table exists.

    Args:
        kubeconfig: For :data:`USER`, whose permissions :func:`ensure_permissions` creates.
    """
    command = (sys.executable, "-m", "localcluster.network_policy_engine", str(kubeconfig))
    sources = (Path(__file__), Path(network_policy_rules.__file__))
    environment = {"PYTHONPATH": str(CHECKOUT)}
    return Program("policy-engine", command, _has_rules, f"nft table {POLICY_TABLE}", environment, sources)


def ensure_permissions(kubeconfig: Path) -> None:
    """Create the permissions that the engine needs.

    Raises:
        LocalClusterError: The API server refused.
    """
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
    ]
    for manifest in (
        {"kind": "ClusterRole", "rules": rules},
        {
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
        },
    ):
        kubectl_json(kubeconfig, "apply", {"apiVersion": f"{group}/v1", "metadata": {"name": USER}, **manifest})


def _has_rules() -> bool:
    return (
        subprocess.run(["nft", "list", "table", "ip", POLICY_TABLE], capture_output=True, check=False).returncode == 0
    )


def main(kubeconfig: Path) -> None:
    """Update the rules after each change. Errors are printed and retried."""
    changed = threading.Event()
    for kind in _KINDS:
        threading.Thread(target=_watch, args=(kubeconfig, kind, changed), daemon=True).start()
    applied = ""
    while True:
        try:
            text = _current(kubeconfig)
            if text != applied:
                _apply(text)
            applied = text
        except (LocalClusterError, NotImplementedError) as error:
            print(error, flush=True)
        changed.wait(_RESYNC_SECONDS)
        time.sleep(_DEBOUNCE_SECONDS)
        changed.clear()


def _watch(kubeconfig: Path, kind: str, changed: threading.Event) -> None:
    """Set ``changed`` on each change of a kind. Restarts a watch that ends."""
    command: list[str | Path] = [
        kubectl_path(),
        f"--kubeconfig={kubeconfig}",
        "get",
        kind,
        "--all-namespaces",
        "--watch",
        "--output=name",
    ]
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as watching:
            for _ in watching.stdout or ():
                changed.set()
        time.sleep(_RETRY_SECONDS)


def _current(kubeconfig: Path) -> str:
    response = json.loads(kubectl(kubeconfig, "get", ",".join(_KINDS), "--all-namespaces", "--output=json"))
    by_kind: dict[str, list[network_policy_rules.Object]] = {"NetworkPolicy": [], "Pod": [], "Namespace": []}
    for item in response["items"]:
        by_kind[item["kind"]].append(item)
    return network_policy_rules.ruleset(POLICY_TABLE, by_kind["NetworkPolicy"], by_kind["Pod"], by_kind["Namespace"])


def _apply(text: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalClusterError(f"nft refused the rules: {done.stderr.strip()}\n{text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
