"""The objects that a TrainingJob becomes."""

import json
from typing import Any

from tests.unit.operator.builders import UID, trainingjob
from vott_operator import desired
from vott_operator.message import TrainMessage
from vott_operator.settings import ModelStore, TrainerSettings

SETTINGS = TrainerSettings(image="trainer:1")
PLAIN = TrainMessage(annotations="https://h/a.csv", model="https://s/m", status="https://h/s")
SIGNED = PLAIN.model_copy(update={"model": "https://s/m?sig=SECRET"})


def container(spec: dict[str, Any] | None = None, settings: TrainerSettings = SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = pod_spec(spec, settings)["containers"][0]
    return result


def pod_spec(spec: dict[str, Any] | None = None, settings: TrainerSettings = SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = desired.job(trainingjob(spec), settings)["spec"]["template"]["spec"]
    return result


def manifest(message: TrainMessage) -> dict[str, Any]:
    return desired.trainingjob_manifest(message, name="n", namespace="ns", plugin="p", annotations={})


def test_a_credential_goes_into_the_secret_and_nowhere_else() -> None:
    assert "SECRET" not in json.dumps(manifest(SIGNED))
    assert manifest(SIGNED)["spec"]["urlSecretRef"] == {"name": "n-urls"}
    secret = desired.url_secret(SIGNED, trainingjob())
    assert secret is not None
    assert secret["stringData"] == {
        "annotations": "https://h/a.csv",
        "model": "https://s/m?sig=SECRET",
        "callback": "https://h/s",
    }
    assert secret["metadata"]["ownerReferences"][0]["uid"] == UID


def test_without_credentials_there_is_no_secret() -> None:
    assert "urlSecretRef" not in manifest(PLAIN)["spec"]
    assert desired.url_secret(PLAIN, trainingjob()) is None


def test_urls_are_passed_plainly_or_as_files() -> None:
    plain = container({"callback": {"url": "https://h/s"}})["args"]
    assert plain[plain.index("--model") + 1] == "https://store/models"
    hidden = container({"urlSecretRef": {"name": "x"}})["args"]
    assert hidden[hidden.index("--model") + 1] == "@/var/run/vott/urls/model"
    assert "--status" not in hidden


def test_a_message_can_not_reach_into_the_environment() -> None:
    arguments = container({"parameters": {"architecture": "$(AZURE_STORAGE_CONNECTION_STRING)"}})["args"]
    # Kubernetes turns $$ into $ and leaves what follows alone.
    assert '{"architecture":"$$(AZURE_STORAGE_CONNECTION_STRING)"}' in arguments


def test_the_pod_asks_for_its_gpu_and_tolerates_its_taints() -> None:
    assert container()["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"nvidia.com/gpu", "sku"} <= {item["key"] for item in pod_spec()["tolerations"]}


def test_other_gpu_names_and_no_gpu_work() -> None:
    mig = container({"trainer": {"gpus": 2, "gpuResourceName": "nvidia.com/mig-1g.10gb"}})
    assert mig["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 2
    assert "nvidia.com/gpu" not in container({"trainer": {"gpus": 0}})["resources"]["limits"]


def test_own_resources_and_image_win() -> None:
    own = container({"trainer": {"image": "own:2", "resources": {"requests": {"cpu": 4}, "limits": {"memory": "1Gi"}}}})
    assert own["image"] == "own:2"
    assert own["resources"] == {"requests": {"cpu": 4}, "limits": {"memory": "1Gi", "nvidia.com/gpu": 1}}


def test_the_pod_is_restricted() -> None:
    security = pod_spec()["securityContext"] | container()["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def test_permanent_failures_are_not_tried_again_and_disruptions_do_not_count() -> None:
    ignore, fail = desired.job(trainingjob(), SETTINGS)["spec"]["podFailurePolicy"]["rules"]
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [64, 65, 66, 73])


def test_the_model_stores_key_comes_from_its_secret() -> None:
    store = ModelStore(secret_name="mine", containers=["models", "more"])
    environment = {item["name"]: item for item in container(None, TrainerSettings(image="t", model_store=store))["env"]}
    assert environment["AZURE_STORAGE_CONNECTION_STRING"]["valueFrom"]["secretKeyRef"]["name"] == "mine"
    assert environment["VOTT_MODEL_CONTAINERS"]["value"] == "models,more"


def test_a_deadline_is_the_jobs() -> None:
    assert desired.job(trainingjob({"activeDeadlineSeconds": 60}), SETTINGS)["spec"]["activeDeadlineSeconds"] == 60
    assert "activeDeadlineSeconds" not in desired.job(trainingjob(), SETTINGS)["spec"]
