"""Pod templates of administrators and users, up to the Job on a real API server."""

from typing import Any

import pytest

from tests.support.examples import MESSAGE
from tests.support.operator_harness import OperatorHarness, condition
from tests.support.waiting import wait_until

DATASET = {
    "volumes": [{"name": "dataset", "persistentVolumeClaim": {"claimName": "datasets"}}],
    "containers": [{"name": "trainer", "volumeMounts": [{"name": "dataset", "mountPath": "/data"}]}],
}
ADMINISTRATOR_DEFAULTS = {
    "labels": {"team": "cats"},
    "trainer": {"gpus": 2},
    "podTemplate": {"metadata": {"annotations": {"note": "ours"}}, "spec": DATASET},
    "backoffLimit": 1,
}


@pytest.mark.parametrize("harness", [{"trainingJob": ADMINISTRATOR_DEFAULTS}], indirect=True, ids=["administrator"])
def test_a_messages_training_gets_the_administrators_defaults(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(MESSAGE)
    (pod,) = wait_until("a pod", harness.pods, dump=harness.diagnostics, seconds=60)
    (trainingjob,) = harness.trainingjobs()
    assert trainingjob["metadata"]["labels"]["team"] == "cats"
    assert harness.kubectl.get("job", trainingjob["metadata"]["name"])["spec"]["backoffLimit"] == 1
    (trainer,) = pod["spec"]["containers"]
    assert trainer["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "/data" in {mount["mountPath"] for mount in trainer["volumeMounts"]}
    assert pod["metadata"]["annotations"]["note"] == "ours"


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"restartPolicy": "Always"}, "spec.podTemplate.spec.restartPolicy is set by the operator to 'Never'"),
        ({"containers": [{"nane": "trainer"}]}, "spec.podTemplate.spec.containers[0] has no name"),
        ({"priorityClass": "high"}, "priorityClass"),
        ({"volumes": [{"name": "x", "hostPat": {"path": "/"}}]}, "hostPat"),
    ],
    ids=["a contradiction", "no name", "a typo", "a typo within"],
)
def test_an_invalid_template_fails_the_training_with_a_sentence(
    harness: OperatorHarness, spec: dict[str, Any], error: str
) -> None:
    harness.operator()
    harness.create_trainingjob("cats", podTemplate={"spec": spec})
    failed = condition(harness.wait_phase("Failed"), "Failed")
    assert failed is not None
    assert failed["reason"] == "InvalidSpec"
    assert error in failed["message"]
