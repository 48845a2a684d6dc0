"""Permissions that the chart grants to operator and trainer, checked on a real API server against docs/security.md."""

import itertools
import json
import re
from itertools import product
from typing import Any

import pytest

from demo.kubectl import Kubectl
from tests.support.api_client import ApiClient, account_token
from tests.support.operator_harness import RELEASE, ROOT, OperatorHarness
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "security.md"
RELEASES, TRAININGS, ITS_OWN = "the release's namespace", "training namespaces", "its own namespace"
TRAINER = f"{RELEASE}-trainer"
TEAM = "permissions-team"
TEAM_QUEUE = {"name": "of-the-team", "targetNamespace": TEAM}
Permissions = dict[str, set[str]]
NOTHING: Permissions = {}
SELF_REVIEWS = ("selfsubject", "[/")
with_a_team = pytest.mark.parametrize("harness", [{"queues": [TEAM_QUEUE]}], indirect=True, ids=["a team"])


def documented(account: str, *namespace_kinds: str) -> Permissions:
    """Documented verbs of an account by resource (with object name), in namespaces of these kinds."""
    rows = re.findall(r"^\| `(\S+)` \| (.+?) \| `(.+?)` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    return {
        resource.replace("RELEASE", RELEASE): set(verbs.split(", "))
        for who, where, resource, verbs in rows
        if who.replace("RELEASE", RELEASE) == account and where in namespace_kinds
    }


def allowed_in(harness: OperatorHarness) -> dict[tuple[str, str], Permissions]:
    """Documented permissions of a release with a team, by account (NAMESPACE:NAME) and namespace."""
    own, trainings = documented(RELEASE, RELEASES, TRAININGS), documented(RELEASE, TRAININGS)
    trainer = documented(TRAINER, ITS_OWN)
    assert own
    assert trainings
    assert trainer
    return {
        (f"{harness.name}:{RELEASE}", harness.name): own,
        (f"{harness.name}:{RELEASE}", TEAM): trainings,
        (f"{harness.name}:{TRAINER}", harness.name): trainer,
        (f"{TEAM}:{TRAINER}", TEAM): trainer,
    }


def permissions(harness: OperatorHarness, account: str, namespace: str) -> Permissions:
    """Verbs of an account in a namespace by resource (with object name), according to `kubectl auth can-i`."""
    who = f"--as=system:serviceaccount:{account}"
    table = harness.kubectl("auth", "can-i", "--list", who, "--no-headers", f"--namespace={namespace}")
    rows = re.findall(r"^(\S+)\s+\[.*?\]\s+\[(.*?)\]\s+\[(.*?)\]", table, re.MULTILINE)
    return {
        f"{resource} {name}".strip(): set(verbs.split())
        for resource, name, verbs in rows
        if not resource.startswith(SELF_REVIEWS)
    }


@with_a_team
def test_the_service_accounts_have_exactly_the_documented_permissions(harness: OperatorHarness) -> None:
    accounts = [f"{space}:{name}" for space, name in product((harness.name, TEAM), (RELEASE, TRAINER, "default"))]
    allowed = allowed_in(harness)
    for account, where in product(accounts, (harness.name, TEAM, "default", "kube-system")):
        assert permissions(harness, account, where) == allowed.get((account, where), NOTHING), (account, where)


@with_a_team
def test_every_undocumented_verb_on_every_resource_is_refused(harness: OperatorHarness) -> None:
    namespaces = (harness.name, TEAM, "default", "kube-system", "kube-public", "kube-node-lease")
    allowed = allowed_in(harness)
    for account in dict.fromkeys(account for account, _ in allowed):
        expected = {where: allowed.get((account, where), NOTHING) for where in namespaces} | {"": NOTHING}
        assert ApiClient(harness, account_token(harness, account)).permitted(namespaces) == expected, account


@with_a_team
def test_no_account_may_impersonate_others_or_read_the_api_servers_internals(harness: OperatorHarness) -> None:
    for account in dict.fromkeys(account for account, _ in allowed_in(harness)):
        api = ApiClient(harness, account_token(harness, account))
        for path in ("metrics", "logs", "debug/pprof/", "configz"):
            assert api.send("GET", path).status_code == 403, (account, path)
        for headers in (
            {"Impersonate-User": "admin"},
            {"Impersonate-User": "x", "Impersonate-Group": "system:masters"},
        ):
            assert "cannot impersonate" in api.send("GET", "api/v1/namespaces", headers=headers).text


@with_a_team
def test_the_operator_can_change_only_the_finalizers_of_its_role_binding(harness: OperatorHarness) -> None:
    api = ApiClient(harness, account_token(harness, f"{harness.name}:{RELEASE}"))
    path = f"apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}/rolebindings/{RELEASE}-operator"
    own = {"kind": "ServiceAccount", "name": RELEASE, "namespace": harness.name}
    numbers = itertools.count()

    def refused() -> bool:
        # A new policy is enforced after a moment; until then, RBAC permits it.
        another = {"kind": "ServiceAccount", "name": f"another-{next(numbers)}", "namespace": TEAM}
        answer = api.send("PATCH", path, {"subjects": [own, another]})
        return "may change only the finalizers" in answer.text

    wait_until("the admission policy", refused, seconds=60)
    assert api.send("PATCH", path, {"metadata": {"finalizers": ["vott.dev/in-use"]}}).ok
    assert api.send("PATCH", path, {"metadata": {"finalizers": []}}).ok


@with_a_team
def test_the_accounts_do_not_mount_their_token_automatically(harness: OperatorHarness) -> None:
    for kubectl in (harness.kubectl, Kubectl(harness.kubectl.kubeconfig, TEAM)):
        accounts = {item["metadata"]["name"]: item for item in kubectl.list("serviceaccounts")}
        own = [accounts[name] for name in (RELEASE, TRAINER) if name in accounts]
        assert [account.get("automountServiceAccountToken") for account in own] == [False] * len(own)


Pods = dict[tuple[str, str], str]
INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def trainings(harness: OperatorHarness) -> tuple[OperatorHarness, Pods]:
    """Two TrainingJobs with two nodes each, one's name a prefix of the other's; with the pod of each index."""
    harness.operator()
    for name in ("cats", "cats-0"):
        harness.create_trainingjob(name, trainer={"nodes": 2})
    pods = wait_until(
        "four pods", lambda: found if len(found := harness.pods()) == 4 else None, dump=harness.diagnostics
    )
    labels = [(pod["metadata"]["labels"], pod["metadata"]["name"]) for pod in pods]
    return harness, {(label["vott.dev/trainingjob"], label[INDEX]): name for label, name in labels}


def test_only_the_first_pod_of_a_training_reports_and_only_to_its_own_trainingjob(
    trainings: tuple[OperatorHarness, Pods],
) -> None:
    harness, pods = trainings
    progress = {"progress": {"percent": 1}}
    for (owner, index), pod in pods.items():
        for target in ("cats", "cats-0"):
            answer = harness.report(pod, target, progress)
            assert answer.ok == (owner == target and index == "0"), answer.text
            if not answer.ok:
                assert f'pod "{pod}" may not report to TrainingJob "{target}"' in answer.json()["message"]


@with_a_team
def test_a_teams_queue_trains_in_its_namespace_and_its_pods_report_only_to_their_own_trainingjob(
    harness: OperatorHarness,
) -> None:
    team = Kubectl(harness.kubectl.kubeconfig, TEAM)
    harness.operator()
    for name in ("a", "b"):
        message = {"annotations": f"https://host/{name}.csv", "model": "https://store/models"}
        harness.send(message, queue=str(TEAM_QUEUE["name"]))
    selector = "vott.dev/trainingjob"
    pods = wait_until("two pods", lambda: found if len(found := team.list("pods", selector)) == 2 else None, seconds=60)
    own, other = (pod["metadata"]["labels"][selector] for pod in pods)
    name = str(pods[0]["metadata"]["name"])
    assert harness.report(name, own, {"progress": {"percent": 1}}, TEAM).ok
    assert not harness.report(name, other, {"progress": {"percent": 1}}, TEAM).ok
    assert harness.trainingjobs() == []


def test_a_trainer_may_write_all_its_status_fields(trainings: tuple[OperatorHarness, Pods]) -> None:
    harness, pods = trainings
    status = {
        "progress": {"percent": 42, "gpuMemoryMiB": 71_000, "gpuUtilizationPercent": 97},
        "metrics": [{"name": "mAP50", "value": 0.9}],
        "model": {"url": "s3://models/cats/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1},
        "checkpoint": {"url": "/checkpoints/uid", "epoch": 3, "step": 7, "time": "2026-01-01T00:00:00Z"},
    }
    answer = harness.report(pods["cats", "0"], "cats", status)
    assert answer.ok, answer.text
    stored = harness.kubectl.get("trainingjob", "cats")["status"]
    assert {name: stored[name] for name in status} == status


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Complete"},
        {"jobName": "other"},
        {"restarts": 7},
        {"podName": "other"},
        {"failures": 7},
        {"reportIntervalSeconds": 3600},
        {"attempts": [{"podName": "x", "outcome": "Failed", "reason": "R", "created": "2026-01-01T00:00:00Z"}]},
        {
            "conditions": [
                {
                    "type": "Complete",
                    "status": "True",
                    "reason": "R",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ]
        },
    ],
    ids=lambda status: next(iter(status)),
)
def test_a_trainer_may_not_write_other_status_fields(
    trainings: tuple[OperatorHarness, Pods], status: dict[str, Any]
) -> None:
    harness, pods = trainings
    answer = harness.report(pods["cats", "0"], "cats", status)
    assert answer.status_code == 422, answer.text
    assert "the trainer owns status.progress" in answer.text


def test_a_trainers_token_can_change_only_the_status(trainings: tuple[OperatorHarness, Pods]) -> None:
    harness, pods = trainings
    own = f"apis/vott.dev/v1alpha1/namespaces/{harness.name}/trainingjobs/cats"
    api = ApiClient(harness, harness.pod_token(pods["cats", "0"]))
    before = harness.kubectl.get("trainingjob", "cats")
    for change in ({"spec": {"suspend": True}}, {"metadata": {"labels": {"own": "yes"}}}):
        assert api.send("PATCH", own, change).status_code == 403
    metadata = {"labels": {"own": "yes"}, "ownerReferences": [], "finalizers": ["vott.dev/own"]}
    patch = {"metadata": metadata, "spec": {"suspend": True}, "status": {"progress": {"percent": 3}}}
    assert api.send("PATCH", f"{own}/status", patch).ok
    after = harness.kubectl.get("trainingjob", "cats")
    assert after["status"]["progress"] == {"percent": 3}
    assert after["spec"] == before["spec"]
    for field in metadata:
        assert after["metadata"].get(field) == before["metadata"].get(field), field


def test_a_token_without_a_pod_may_not_report(trainings: tuple[OperatorHarness, Pods]) -> None:
    harness, _ = trainings
    path = f"apis/vott.dev/v1alpha1/namespaces/{harness.name}/trainingjobs/cats/status"
    answer = ApiClient(harness, account_token(harness, f"{harness.name}:{TRAINER}")).send(
        "PATCH", path, {"status": {"progress": {"percent": 1}}}
    )
    assert 'pod "" may not report to TrainingJob "cats"' in answer.json()["message"]


def test_a_pods_token_is_invalid_once_the_pod_is_deleted(trainings: tuple[OperatorHarness, Pods]) -> None:
    harness, pods = trainings
    pod = pods["cats", "0"]
    api = ApiClient(harness, harness.pod_token(pod))
    path = f"apis/vott.dev/v1alpha1/namespaces/{harness.name}/trainingjobs/cats/status"
    assert api.send("PATCH", path, {"status": {"progress": {"percent": 1}}}).ok
    harness.kubectl("delete", "pod", pod, "--force", "--grace-period=0")
    wait_until("the token is refused", lambda: api.send("PATCH", path, {}).status_code == 401, seconds=60)


RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
CLAIMS: dict[str, Any] = {
    "image": "trainer:1",
    "checkpoints": {"persistentVolumeClaim": "checkpoints"},
    "imageCache": {"persistentVolumeClaim": "images"},
    "plugins": {"persistentVolumeClaim": "plugins"},
}
STORES: dict[str, Any] = {
    "image": "trainer:1",
    "modelStore": {"containers": ["models"], "buckets": ["models"], "secretName": "store"},
    "checkpoints": {"url": "s3://checkpoints/here"},
    "plugins": {"configMap": "plugins"},
}
IDENTITY: dict[str, Any] = {"image": "trainer:1", "workloadIdentity": {"clientId": "abc"}}


@pytest.mark.parametrize(
    "harness",
    [{}, *({"trainer": trainer} for trainer in (CLAIMS, STORES, IDENTITY))],
    indirect=True,
    ids=["defaults", "claims", "stores", "identity"],
)
def test_every_pod_of_the_operator_is_admitted_under_pod_security_restricted(harness: OperatorHarness) -> None:
    harness.kubectl("label", "namespace", harness.name, RESTRICTED)
    harness.operator()
    harness.create_trainingjob("one")
    harness.create_trainingjob("two", trainer={"nodes": 2, "gpus": 2}, urlSecretRef={"name": "urls"})
    pods = wait_until(
        "three pods", lambda: found if len(found := harness.pods()) == 3 else None, dump=harness.diagnostics
    )
    tokens = [pod["spec"]["automountServiceAccountToken"] for pod in pods]
    assert tokens == [True] * 3
    for container in [container for pod in pods for container in pod["spec"]["containers"]]:
        assert "memory" in container["resources"]["limits"]
    volumes = [volume["emptyDir"] for pod in pods for volume in pod["spec"]["volumes"] if "emptyDir" in volume]
    assert all("sizeLimit" in volume for volume in volumes)


@pytest.mark.parametrize(
    "harness",
    [{"trainer": {"image": "trainer:1", "imageCache": {"hostPath": "/var/images"}}}],
    indirect=True,
    ids=["hostPath"],
)
def test_a_host_path_is_refused_under_pod_security_restricted_and_the_trainingjob_shows_it(
    harness: OperatorHarness,
) -> None:
    harness.kubectl("label", "namespace", harness.name, RESTRICTED)
    harness.operator()
    harness.create_trainingjob("one")

    def refused() -> bool:
        return any("hostPath" in json.dumps(item["status"]) for item in harness.trainingjobs() if "status" in item)

    wait_until("a status about hostPath", refused, seconds=60, dump=harness.diagnostics)


def test_the_operators_pod_is_admitted_under_pod_security_restricted(harness: OperatorHarness) -> None:
    deployment = harness.kubectl.get("deployment", RELEASE)
    harness.kubectl("label", "namespace", harness.name, RESTRICTED)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try"},
        "spec": deployment["spec"]["template"]["spec"],
    }
    harness.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
