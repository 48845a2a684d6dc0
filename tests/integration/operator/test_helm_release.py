"""A release on a real API server: installed with names that look like numbers, and upgraded with a pod that never starts.

Without a kubelet, the test says which pod is ready.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from demo.kubectl import Kubectl
from localcluster.control_plane import ControlPlane
from tests.support.helm import Object, change_release
from tests.support.waiting import wait_until

RELEASE, NAMESPACE, TEAM = "1e3", "123", "no"
VALUES: Object = {
    "image": {"repository": "1e3", "tag": "1.10"},
    "imagePullSecrets": [{"name": "1e3"}],
    "azure": {"existingSecret": "1e3", "workloadIdentity": {"clientId": "0123"}},
    "queues": [
        {"name": "123", "account": "1000", "targetNamespace": TEAM, "secretName": "007", "parameters": {"a": "=", "b": "1e3", "c": "on"}},
        {"name": "456", "account": "1000", "plugins": {"default": "1.0", "allowed": ["1.0", "no"]}},
    ],
    "trainer": {
        "image": "1.10",
        "nodeSelector": {"gpu": "true"},
        "modelStore": {"secretName": "1e3", "containers": ["123"]},
        "workloadIdentity": {"clientId": "0123"},
        "checkpoints": {"persistentVolumeClaim": "1e3"},
    },
    "trainingJob": {"labels": {"team": "1e3"}, "podTemplate": {"metadata": {"annotations": {"a": "true"}}}},
    "callbacks": {"signing": {"secretName": "1e3"}},
    "nodeSelector": {"agentpool": "0"},
}  # fmt: skip


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    kubectl = Kubectl(str(control_plane.kubeconfig), NAMESPACE)
    for namespace in (NAMESPACE, TEAM):
        kubectl("create", "namespace", namespace)
    change_release(control_plane.kubeconfig, NAMESPACE, "install", RELEASE, "--skip-crds", values=VALUES)
    yield kubectl
    change_release(control_plane.kubeconfig, NAMESPACE, "uninstall", RELEASE)


def _pods(kubectl: Kubectl, image: str) -> list[Object]:
    pods: list[Object] = kubectl.list("pods", f"app.kubernetes.io/instance={RELEASE}")
    return [pod for pod in pods if pod["spec"]["containers"][0]["image"] == image]


def _set_ready(kubectl: Kubectl, image: str) -> None:
    (pod,) = wait_until(f"the pod of {image}", lambda: _pods(kubectl, image))
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    name = pod["metadata"]["name"]
    kubectl("patch", "pod", name, "--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}")


def test_texts_that_look_like_numbers_or_booleans_stay_texts(kubectl: Kubectl, control_plane: ControlPlane) -> None:
    spec = kubectl.get("deployment", RELEASE)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert (container["image"], spec["nodeSelector"], spec["serviceAccountName"]) == (
        "1e3:1.10",
        {"agentpool": "0"},
        "1e3",
    )
    settings: dict[str, Any] = yaml.safe_load(kubectl.get("configmap", f"{RELEASE}-settings")["data"]["settings.yaml"])
    trainer = settings["trainer"]
    assert (settings["namespace"], settings["leaderElection"]["leaseName"]) == (NAMESPACE, RELEASE)
    assert [{name: queue[name] for name in queue if name != "credentialsDir"} for queue in settings["queues"]] == [
        {name: queue[name] for name in queue if name != "secretName"} for queue in VALUES["queues"]
    ]
    assert (trainer["image"], trainer["nodeSelector"]) == ("1.10", {"gpu": "true"})
    assert (trainer["modelStore"]["containers"], trainer["checkpoints"]["persistentVolumeClaim"]) == (["123"], "1e3")
    assert settings["trainingJob"]["labels"] == {"team": "1e3"}
    account = Kubectl(str(control_plane.kubeconfig), TEAM).get("serviceaccount", f"{RELEASE}-trainer")
    assert account["metadata"]["annotations"]["azure.workload.identity/client-id"] == "0123"


@pytest.mark.parametrize(
    "values", [{"logLevel": "debug"}, {"maxUnfinishedJobs": 0}, {"outgoing": {"hosts": ["https://store"]}}]
)
def test_an_upgrade_that_the_operator_would_refuse_changes_nothing(
    kubectl: Kubectl, control_plane: ControlPlane, values: Object
) -> None:
    before = (
        kubectl.get("configmap", f"{RELEASE}-settings"),
        kubectl.get("deployment", RELEASE)["metadata"]["generation"],
    )
    with pytest.raises(AssertionError, match=next(iter(values))):
        change_release(control_plane.kubeconfig, NAMESPACE, "upgrade", RELEASE, "--skip-crds", values=VALUES | values)
    after = (
        kubectl.get("configmap", f"{RELEASE}-settings"),
        kubectl.get("deployment", RELEASE)["metadata"]["generation"],
    )
    assert after == before


def test_after_an_upgrade_that_never_starts_the_old_pod_goes_on(kubectl: Kubectl, control_plane: ControlPlane) -> None:
    _set_ready(kubectl, "1e3:1.10")
    wait_until("an available pod", lambda: kubectl.get("deployment", RELEASE)["status"].get("availableReplicas"))

    missing = VALUES | {"image": {"repository": "1e3", "tag": "missing"}}
    change_release(control_plane.kubeconfig, NAMESPACE, "upgrade", RELEASE, "--skip-crds", values=missing)

    wait_until("the new pod", lambda: _pods(kubectl, "1e3:missing"))
    assert len(_pods(kubectl, "1e3:1.10")) == 1
    assert kubectl.get("deployment", RELEASE)["status"]["availableReplicas"] == 1

    _set_ready(kubectl, "1e3:missing")  # on standby: then the old one ends, and releases the Lease
    wait_until("the end of the old pod", lambda: not _pods(kubectl, "1e3:1.10"))
