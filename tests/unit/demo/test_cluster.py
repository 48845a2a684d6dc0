"""The operator of a cluster as the demo's consumer."""

from dataclasses import dataclass, field
from typing import Any

from demo.cluster import ClusterConsumer
from demo.consumer import Training
from demo.kubectl import Kubectl, Manifest
from demo.progress import COMPLETE, FAILED, MODEL_READY, Step


@dataclass(frozen=True)
class RecordedKubectl(Kubectl):
    """Has these TrainingJobs and no pods; records other calls."""

    kubeconfig: str = "/k"
    namespace: str = "ns"
    jobs: list[Manifest] = field(default_factory=list)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        assert stdin is None
        self.calls.append(args)
        return ""

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        assert (kind, selector) in {("trainingjobs", ""), ("pods", "vott.dev/trainingjob=cats")}
        return [] if selector else self.jobs


def job(**status: Any) -> Manifest:
    return {"metadata": {"name": "cats", "annotations": {"vott.dev/message-id": "m"}}, "status": status}


def condition(type_: str, **fields: str) -> dict[str, str]:
    return {"type": type_, "status": "True", **fields}


def test_a_complete_trainingjob_has_its_model_and_what_became_of_the_callback() -> None:
    model = {"url": "https://a/model.tgz", "sha256": "ab"}
    conditions = [condition("Complete"), condition("CallbackDelivered", message="delivered")]
    consumer = ClusterConsumer(RecordedKubectl(jobs=[job(model=model, conditions=conditions)]))
    assert consumer.training("m") == Training("cats", Step(COMPLETE, MODEL_READY), "", model, "delivered")


def test_a_failed_trainingjob_has_its_reason() -> None:
    failed = condition("Failed", reason="BadAnnotations", message="line 7")
    training = ClusterConsumer(RecordedKubectl(jobs=[job(conditions=[failed])])).training("m")
    assert training == Training("cats", Step(FAILED, "BadAnnotations: line 7"), "BadAnnotations: line 7")


def test_a_message_without_trainingjob_has_no_training_and_nothing_to_cancel() -> None:
    kubectl = RecordedKubectl(jobs=[job()])
    assert ClusterConsumer(kubectl).training("other") is None
    ClusterConsumer(kubectl).cancel("other")
    assert kubectl.calls == []


def test_a_cancelled_training_is_a_deleted_trainingjob() -> None:
    kubectl = RecordedKubectl(jobs=[job()])
    ClusterConsumer(kubectl).cancel("m")
    assert kubectl.calls == [("delete", "trainingjob", "cats", "--wait=false")]
