"""The TrainingJob of a message, and the Secret with its URLs."""

import json
from typing import Any

from tests.support import observed_state as b
from vott_messaging.messages.message import TrainMessage
from vott_operator.objects.trainingjob import trainingjob_manifest
from vott_operator.objects.url_secret import url_secret_manifest
from vott_operator.settings.training_job import TrainingJobSettings

PLAIN = TrainMessage(annotations="https://h/a.csv", model="https://s/m")
WITH_CALLBACK = PLAIN.model_copy(update={"status": "https://hooks.example:8443/services/T/B/TOKEN"})
SIGNED = PLAIN.model_copy(update={"model": "https://s/m?sig=SECRET"})
WITH_WEIGHTS = PLAIN.model_copy(update={"parameters": {"epochs": 3, "initialWeights": "https://s/old.tgz?sig=SECRET"}})


def manifest(message: TrainMessage, defaults: TrainingJobSettings | None = None) -> dict[str, Any]:
    return trainingjob_manifest(
        message, name="n", namespace="ns", plugin="p", annotations={}, defaults=defaults or TrainingJobSettings()
    )


def test_a_credential_goes_into_the_secret_only() -> None:
    assert "SECRET" not in json.dumps(manifest(SIGNED))
    assert manifest(SIGNED)["spec"]["urlSecretRef"] == {"name": "n-urls"}
    secret = url_secret_manifest(SIGNED, b.trainingjob())
    assert secret is not None
    assert secret["stringData"] == {
        "annotations": "https://h/a.csv",
        "model": "https://s/m?sig=SECRET",
    }
    assert secret["metadata"]["ownerReferences"][0]["uid"] == b.UID


def test_so_does_the_credential_of_the_initial_weights() -> None:
    created, secret = manifest(WITH_WEIGHTS), url_secret_manifest(WITH_WEIGHTS, b.trainingjob())
    assert "SECRET" not in json.dumps(created)
    assert created["spec"]["parameters"] == {"epochs": 3, "initialWeights": "https://s/old.tgz"}
    assert created["spec"]["urlSecretRef"] == {"name": "n-urls"}
    assert secret is not None
    assert secret["stringData"]["initialWeights"] == "https://s/old.tgz?sig=SECRET"


def test_of_a_callback_only_the_host_is_shown_because_its_path_may_be_a_credential() -> None:
    created, secret = manifest(WITH_CALLBACK), url_secret_manifest(WITH_CALLBACK, b.trainingjob())
    assert created["spec"]["callback"] == {"url": "https://hooks.example:8443"}
    assert created["spec"]["urlSecretRef"] == {"name": "n-urls"}
    assert secret is not None
    assert secret["stringData"]["callback"] == WITH_CALLBACK.status


def test_without_credentials_there_is_no_secret() -> None:
    assert "urlSecretRef" not in manifest(PLAIN)["spec"]
    assert url_secret_manifest(PLAIN, b.trainingjob()) is None


def test_the_scheme_is_lower_case_as_the_custom_resource_definition_requires() -> None:
    message = TrainMessage(annotations="HTTPS://H/A.csv", model="S3://bucket/Prefix", status="Http://h/S?sig=SECRET")
    spec = manifest(message)["spec"]
    assert spec["annotations"]["url"] == "https://H/A.csv"
    assert spec["model"]["url"] == "s3://bucket/Prefix"
    assert spec["callback"]["url"] == "http://h"


def test_the_trainingjob_gets_the_administrators_defaults() -> None:
    defaults = TrainingJobSettings.model_validate(
        {
            "labels": {"kueue.x-k8s.io/queue-name": "gpu"},
            "trainer": {"gpus": 2},
            "podTemplate": {"spec": {"priorityClassName": "high"}},
            "backoffLimit": 0,
            "activeDeadlineSeconds": 3600,
            "pendingDeadlineSeconds": None,
        }
    )
    created = manifest(PLAIN, defaults)
    assert created["metadata"]["labels"] == {
        "kueue.x-k8s.io/queue-name": "gpu", "app.kubernetes.io/managed-by": "vott-train",
    }  # fmt: skip
    added = {key: value for key, value in created["spec"].items() if key not in manifest(PLAIN)["spec"]}
    assert added == {
        "trainer": {"gpus": 2},
        "podTemplate": {"spec": {"priorityClassName": "high"}},
        "backoffLimit": 0,
        "activeDeadlineSeconds": 3600,
    }


def test_a_callback_adds_the_finalizer() -> None:
    assert manifest(WITH_CALLBACK)["metadata"]["finalizers"] == ["vott.dev/last-word"]
    assert "finalizers" not in manifest(PLAIN)["metadata"]
