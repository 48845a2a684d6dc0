"""Keeps the node's rules as the cluster's NetworkPolicies say, while it runs: ``python -m localcluster.policy_engine KUBECONFIG``."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from localcluster import policy_rules
from localcluster.errors import LocalClusterError
from localcluster.kubectl import kubectl, kubectl_json, kubectl_path
from localcluster.paths import CHECKOUT
from localcluster.processes import Program
from localcluster.settings import POLICY_TABLE

USER = "system:policy-engine"
_KINDS = ("networkpolicies", "pods", "namespaces")
_SETTLING_SECONDS = 0.2  # changes seldom come alone
_RESYNC_SECONDS = 30
_RETRY_SECONDS = 1


def policy_engine_program(kubeconfig: Path) -> Program:
    """The engine as a program of the cluster; it is well once there are rules.

    Args:
        kubeconfig: of :data:`USER`, which :func:`ensure_rights` gives its rights.
    """
    command = (sys.executable, "-m", "localcluster.policy_engine", str(kubeconfig))
    sources = (Path(__file__), Path(policy_rules.__file__))
    environment = {"PYTHONPATH": str(CHECKOUT)}
    return Program("policy-engine", command, _has_rules, f"nft table {POLICY_TABLE}", environment, sources)


def ensure_rights(kubeconfig: Path) -> None:
    """Let the engine read what it decides from.

    Raises:
        LocalClusterError: the API server refuses.
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
    """Watch, and make the rules anew after each change. What can't be read or made is said, and tried again."""
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
        time.sleep(_SETTLING_SECONDS)
        changed.clear()


def _watch(kubeconfig: Path, kind: str, changed: threading.Event) -> None:
    """Tell each change of a kind; a watch that ends is begun again."""
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
    answer = json.loads(kubectl(kubeconfig, "get", ",".join(_KINDS), "--all-namespaces", "--output=json"))
    by_kind: dict[str, list[policy_rules.Object]] = {"NetworkPolicy": [], "Pod": [], "Namespace": []}
    for item in answer["items"]:
        by_kind[item["kind"]].append(item)
    return policy_rules.ruleset(POLICY_TABLE, by_kind["NetworkPolicy"], by_kind["Pod"], by_kind["Namespace"])


def _apply(text: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalClusterError(f"nft refused the rules: {done.stderr.strip()}\n{text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
