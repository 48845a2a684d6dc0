"""The Job of a TrainingJob: nodes, retries, labels, deadline; and the Service of several nodes."""

from typing import Any

import pytest

from tests.support import observed_state as b
from vott_operator.objects.job import job_manifest
from vott_operator.objects.service import service_manifest

TWO_NODES: dict[str, Any] = {"trainer": {"nodes": 2}}


def job(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
) -> dict[str, Any]:
    return job_manifest(b.trainingjob(spec, status, metadata), b.POD_SETTINGS)


def rules(spec: dict[str, Any] | None = None) -> list[tuple[str, Any]]:
    """Action and match of each rule of the podFailurePolicy."""
    policy = job(spec)["spec"]["podFailurePolicy"]
    return [
        (rule["action"], rule["onExitCodes"]["values"] if "onExitCodes" in rule else rule["onPodConditions"][0]["type"])
        for rule in policy["rules"]
    ]


def test_permanent_failures_are_not_retried_and_interruptions_do_not_count() -> None:
    assert rules() == [("Ignore", "DisruptionTarget"), ("Ignore", [143]), ("FailJob", [64, 65, 66, 73])]


def test_several_nodes_fail_together_and_the_rules_index_shows_the_kind_of_failure() -> None:
    assert rules(TWO_NODES) == [("FailJob", "DisruptionTarget"), ("Ignore", [143]), ("FailJob", [64, 65, 66, 73])]
    assert job(TWO_NODES)["spec"]["backoffLimit"] == 0


def test_one_nodes_backoff_limit_is_the_jobs() -> None:
    assert job({"backoffLimit": 5})["spec"]["backoffLimit"] == 5


@pytest.mark.parametrize(("spec", "nodes"), [({}, 1), (TWO_NODES, 2)], ids=["one", "two"])
def test_the_job_has_one_indexed_pod_for_each_node(spec: dict[str, Any], nodes: int) -> None:
    job_spec = job(spec)["spec"]
    assert (job_spec["completionMode"], job_spec["completions"], job_spec["parallelism"]) == ("Indexed", nodes, nodes)


@pytest.mark.parametrize("spec", [{}, TWO_NODES], ids=["one", "two"])
def test_the_job_has_the_failures_before_it(spec: dict[str, Any]) -> None:
    assert job(spec, {"failures": 2})["metadata"]["annotations"] == {"vott.dev/failures": "2"}


def test_the_next_job_of_one_node_has_the_retries_that_are_left() -> None:
    assert job({"backoffLimit": 5}, {"failures": 2})["spec"]["backoffLimit"] == 3


def attempts(*nodes: str, outcome: str = "Failed", reason: str = "TrainerFailed") -> dict[str, Any]:
    ended = {"outcome": outcome, "reason": reason, "created": b.HOUR_AGO}
    return {
        "attempts": [ended | {"podName": f"cats-0-{number}", "nodeName": node} for number, node in enumerate(nodes)]
    }


@pytest.mark.parametrize(
    ("status", "avoided"),
    [
        (attempts("gpu-1", "gpu-2", "gpu-1"), ["gpu-1"]),
        (attempts("gpu-1", "gpu-1", outcome="Rejected", reason="UnexpectedAdmissionError"), ["gpu-1"]),
        (attempts("gpu-2", "gpu-1", "gpu-1", "gpu-2", reason="GPUError"), ["gpu-1", "gpu-2"]),
        (attempts("gpu-1", "gpu-2"), []),
        (attempts("gpu-1", "gpu-1", reason="OOMKilled"), []),
        (attempts("gpu-1", "gpu-1", outcome="Interrupted", reason="PreemptionByScheduler"), []),
    ],
    ids=["failed", "rejected", "two nodes", "once on each", "out of memory", "preempted"],
)
def test_pods_prefer_other_nodes_than_those_that_failed_twice(status: dict[str, Any], avoided: list[str]) -> None:
    manifest = job(status=status)
    affinity = manifest["spec"]["template"]["spec"].get("affinity")
    assert manifest["metadata"]["annotations"].get("vott.dev/avoided-nodes", "") == ",".join(avoided)
    if not avoided:
        assert affinity is None
        return
    (preferred,) = affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = preferred["preference"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": avoided}


def test_preferred_nodes_of_the_pod_template_are_kept() -> None:
    own = {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [own]}}
    spec = {"podTemplate": {"spec": {"affinity": affinity}}}
    merged = job(spec, attempts("gpu-1", "gpu-1"))["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    preferred = merged["preferredDuringSchedulingIgnoredDuringExecution"]
    assert [item["weight"] for item in preferred] == [100, 1]


def test_several_nodes_get_a_headless_service_that_publishes_pods_before_they_are_ready() -> None:
    assert service_manifest(b.trainingjob()) is None
    service = service_manifest(b.trainingjob(TWO_NODES))
    assert service is not None
    spec = service["spec"]
    assert (service["metadata"]["name"], spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("cats", "None", True)
    assert service["metadata"]["ownerReferences"][0]["uid"] == b.UID
    template = job(TWO_NODES)["spec"]["template"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert spec["selector"].items() <= template["metadata"]["labels"].items()


def test_the_job_gets_kueues_labels_and_no_others() -> None:
    kueue = {"kueue.x-k8s.io/queue-name": "gpu", "kueue.x-k8s.io/priority-class": "high"}
    labels = job(metadata={"labels": kueue | {"team": "cats"}})["metadata"]["labels"]
    assert labels.items() >= kueue.items()
    assert "team" not in labels


def test_the_active_deadline_is_the_jobs() -> None:
    assert job({"activeDeadlineSeconds": 60})["spec"]["activeDeadlineSeconds"] == 60
    assert "activeDeadlineSeconds" not in job()["spec"]
