"""The objects that a TrainingJob becomes."""

import json
from typing import Any

import pytest

from tests.support import observed_state as b
from vott_guard.rules import Rules
from vott_operator.errors import PodTemplateError
from vott_operator.messages.message import TrainMessage
from vott_operator.objects.job import job_manifest
from vott_operator.objects.service import service_manifest
from vott_operator.objects.trainingjob import trainingjob_manifest
from vott_operator.objects.url_secret import url_secret_manifest
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings
from vott_operator.settings.training_job import TrainingJobSettings

SETTINGS = PodSettings(TrainerSettings(image="trainer:1"))
PLAIN = TrainMessage(annotations="https://h/a.csv", model="https://s/m", status="https://h/s")
SIGNED = PLAIN.model_copy(update={"model": "https://s/m?sig=SECRET"})
TWO_NODES: dict[str, Any] = {"trainer": {"nodes": 2}}


def container(spec: dict[str, Any] | None = None, settings: PodSettings = SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = pod_spec(spec, settings)["containers"][0]
    return result


def pod_spec(spec: dict[str, Any] | None = None, settings: PodSettings = SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = job_manifest(b.trainingjob(spec), settings)["spec"]["template"]["spec"]
    return result


def manifest(message: TrainMessage, defaults: TrainingJobSettings | None = None) -> dict[str, Any]:
    return trainingjob_manifest(
        message, name="n", namespace="ns", plugin="p", annotations={}, defaults=defaults or TrainingJobSettings()
    )


def test_a_credential_goes_into_the_secret_and_nowhere_else() -> None:
    assert "SECRET" not in json.dumps(manifest(SIGNED))
    assert manifest(SIGNED)["spec"]["urlSecretRef"] == {"name": "n-urls"}
    secret = url_secret_manifest(SIGNED, b.trainingjob())
    assert secret is not None
    assert secret["stringData"] == {
        "annotations": "https://h/a.csv",
        "model": "https://s/m?sig=SECRET",
        "callback": "https://h/s",
    }
    assert secret["metadata"]["ownerReferences"][0]["uid"] == b.UID


def test_the_administrators_defaults_are_the_messages_trainingjobs() -> None:
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
    made = manifest(PLAIN, defaults)
    assert made["metadata"]["labels"] == {
        "kueue.x-k8s.io/queue-name": "gpu", "app.kubernetes.io/managed-by": "vott-train",
    }  # fmt: skip
    added = {key: value for key, value in made["spec"].items() if key not in manifest(PLAIN)["spec"]}
    assert added == {
        "trainer": {"gpus": 2},
        "podTemplate": {"spec": {"priorityClassName": "high"}},
        "backoffLimit": 0,
        "activeDeadlineSeconds": 3600,
    }


def test_a_callback_holds_the_trainingjob_until_its_last_word() -> None:
    assert manifest(PLAIN)["metadata"]["finalizers"] == ["vott.dev/last-word"]
    assert "finalizers" not in manifest(PLAIN.model_copy(update={"status": None}))["metadata"]


def test_without_credentials_there_is_no_secret() -> None:
    assert "urlSecretRef" not in manifest(PLAIN)["spec"]
    assert url_secret_manifest(PLAIN, b.trainingjob()) is None


def test_urls_are_passed_plainly_or_as_files() -> None:
    plain = container({"callback": {"url": "https://h/s"}})["args"]
    assert plain[plain.index("--model") + 1] == "https://store/models"
    hidden = container({"urlSecretRef": {"name": "x"}})["args"]
    assert hidden[hidden.index("--model") + 1] == "@/var/run/vott/urls/model"
    assert "--status" not in hidden


# ------------------------------------------------------------------------------------- where the pod may go, and not go

WITH_CALLBACK: dict[str, Any] = {"callback": {"url": "https://h/s"}}
SIGNING = PodSettings(TrainerSettings(image="trainer:1"), signed_callbacks=True)


def test_the_pod_is_told_every_rule_so_that_no_template_adds_one() -> None:
    rules = Rules(allow_http=True, hosts=("minio.store",))
    variables = container(settings=PodSettings(SETTINGS.trainer, rules))["env"]
    assert rules.to_environment().items() <= {item["name"]: item.get("value") for item in variables}.items()
    for name in Rules().to_environment():
        opened = {"containers": [{"name": "trainer", "env": [{"name": name, "value": "10.0.0.0/8"}]}]}
        with pytest.raises(PodTemplateError, match=name):
            container({"podTemplate": {"spec": opened}})


def test_a_callback_that_is_signed_is_no_matter_of_the_pods() -> None:
    assert "--status" in container(WITH_CALLBACK)["args"]
    assert "--status" not in container(WITH_CALLBACK, SIGNING)["args"]
    assert "https://h/s" not in json.dumps(pod_spec(WITH_CALLBACK, SIGNING))


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({}, ["annotations", "model"]),
        ({"initialWeights": "https://s/old.tgz"}, ["annotations", "model", "initialWeights"]),
    ],
)
def test_the_url_of_a_signed_callback_is_not_mounted(parameters: dict[str, Any], keys: list[str]) -> None:
    spec = pod_spec(WITH_CALLBACK | {"urlSecretRef": {"name": "x"}, "parameters": parameters}, SIGNING)
    (secret,) = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "urls"]
    assert secret["items"] == [{"key": key, "path": key} for key in keys]


WARM = PLAIN.model_copy(update={"parameters": {"epochs": 3, "initialWeights": "https://s/old.tgz?sig=SECRET"}})


def test_the_credential_of_the_initial_weights_goes_into_the_secret_too() -> None:
    made, secret = manifest(WARM), url_secret_manifest(WARM, b.trainingjob())
    assert "SECRET" not in json.dumps(made)
    assert made["spec"]["parameters"] == {"epochs": 3, "initialWeights": "https://s/old.tgz"}
    assert made["spec"]["urlSecretRef"] == {"name": "n-urls"}
    assert secret is not None
    assert secret["stringData"]["initialWeights"] == "https://s/old.tgz?sig=SECRET"


def test_initial_weights_with_a_secret_are_passed_as_a_file() -> None:
    parameters = {"epochs": 3, "initialWeights": "https://s/old.tgz"}
    arguments = container({"parameters": parameters, "urlSecretRef": {"name": "x"}})["args"]
    assert arguments[arguments.index("--initial-weights") + 1] == "@/var/run/vott/urls/initialWeights"
    assert arguments[arguments.index("--parameters") + 1] == '{"epochs":3}'


@pytest.mark.parametrize(
    "spec",
    [
        {"parameters": {"initialWeights": "https://s/old.tgz"}},
        {"parameters": {"initialWeights": "baked"}, "urlSecretRef": {"name": "x"}},
        {"parameters": {"initialWeights": 5}, "urlSecretRef": {"name": "x"}},
    ],
    ids=["no secret", "a name", "no text"],
)
def test_other_initial_weights_stay_a_parameter(spec: dict[str, Any]) -> None:
    arguments = container(spec)["args"]
    assert "--initial-weights" not in arguments
    assert json.loads(arguments[arguments.index("--parameters") + 1]) == spec["parameters"]


def test_a_message_can_not_reach_into_the_environment() -> None:
    arguments = container({"parameters": {"architecture": "$(AZURE_STORAGE_CONNECTION_STRING)"}})["args"]
    # Kubernetes turns $$ into $ and leaves what follows alone.
    assert '{"architecture":"$$(AZURE_STORAGE_CONNECTION_STRING)"}' in arguments


def tolerated(spec: dict[str, Any] | None = None, settings: PodSettings = SETTINGS) -> set[str]:
    return {item["key"] for item in pod_spec(spec, settings)["tolerations"]}


def test_the_pod_asks_for_its_gpu_and_tolerates_the_taints_of_gpu_and_spot_nodes() -> None:
    assert container()["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod_spec()["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
    ]


def test_spot_nodes_can_be_left_out_and_other_taints_be_tolerated() -> None:
    given = TrainerSettings(image="t", tolerate_spot=False, tolerations=[{"key": "team", "operator": "Exists"}])
    settings = PodSettings(given)
    assert tolerated(settings=settings) == {"nvidia.com/gpu", "sku", "team"}


def test_the_taint_of_another_gpu_name_is_tolerated() -> None:
    assert "nvidia.com/mig-1g.10gb" in tolerated({"trainer": {"gpuResourceName": "nvidia.com/mig-1g.10gb"}})


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


def rules(spec: dict[str, Any] | None = None) -> list[tuple[str, Any]]:
    """What each rule of the podFailurePolicy does, and to which pods."""
    policy = job_manifest(b.trainingjob(spec), SETTINGS)["spec"]["podFailurePolicy"]
    return [
        (rule["action"], rule["onExitCodes"]["values"] if "onExitCodes" in rule else rule["onPodConditions"][0]["type"])
        for rule in policy["rules"]
    ]


def test_permanent_failures_are_not_tried_again_and_interruptions_do_not_count() -> None:
    assert rules() == [("Ignore", "DisruptionTarget"), ("Ignore", [143]), ("FailJob", [64, 65, 66, 73])]


def test_a_failure_of_one_of_several_pods_ends_them_all_and_its_rule_tells_the_kind() -> None:
    assert rules(TWO_NODES) == [("FailJob", "DisruptionTarget"), ("Ignore", [143]), ("FailJob", [64, 65, 66, 73])]
    assert job_manifest(b.trainingjob(TWO_NODES), SETTINGS)["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize(
    ("template", "seconds"),
    [({}, "60"), ({"terminationGracePeriodSeconds": 600}, "600"), ({"terminationGracePeriodSeconds": None}, "60")],
    ids=["setting", "pod template", "null"],
)
def test_the_trainer_is_told_how_long_it_has_after_sigterm(template: dict[str, Any], seconds: str) -> None:
    made = pod_spec({"podTemplate": {"spec": template}})
    environment = {item["name"]: item.get("value") for item in made["containers"][0]["env"]}
    assert environment["VOTT_GRACE_SECONDS"] == str(made["terminationGracePeriodSeconds"]) == seconds


def test_one_pods_retries_are_the_jobs() -> None:
    assert job_manifest(b.trainingjob({"backoffLimit": 5}), SETTINGS)["spec"]["backoffLimit"] == 5


@pytest.mark.parametrize(("spec", "nodes"), [({}, 1), (TWO_NODES, 2)], ids=["one", "two"])
def test_the_job_has_one_indexed_pod_for_each_node(spec: dict[str, Any], nodes: int) -> None:
    made = job_manifest(b.trainingjob(spec), SETTINGS)["spec"]
    assert (made["completionMode"], made["completions"], made["parallelism"]) == ("Indexed", nodes, nodes)


def test_the_job_of_several_nodes_carries_the_failures_before_it() -> None:
    made = job_manifest(b.trainingjob(TWO_NODES, {"failures": 2}), SETTINGS)
    assert made["metadata"]["annotations"] == {"vott.dev/failures": "2"}
    assert "annotations" not in job_manifest(b.trainingjob(), SETTINGS)["metadata"]


def test_a_headless_service_names_the_pods_of_several_nodes_before_they_are_ready() -> None:
    assert service_manifest(b.trainingjob()) is None
    service = service_manifest(b.trainingjob(TWO_NODES))
    assert service is not None
    spec = service["spec"]
    assert (service["metadata"]["name"], spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("cats", "None", True)
    assert service["metadata"]["ownerReferences"][0]["uid"] == b.UID
    template = job_manifest(b.trainingjob(TWO_NODES), SETTINGS)["spec"]["template"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert spec["selector"].items() <= template["metadata"]["labels"].items()


def torchrun(spec: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container(spec)["env"] if item["name"].startswith("PET_")}


def test_one_gpu_needs_no_torchrun() -> None:
    assert torchrun({}) == torchrun({"trainer": {"gpus": 0}}) == {}


def test_torchrun_finds_the_gpus_of_one_node() -> None:
    assert torchrun({"trainer": {"gpus": 4}}) == {
        "PET_NNODES": "1", "PET_NPROC_PER_NODE": "4", "PET_NODE_RANK": "",
        "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": "29500",
    }  # fmt: skip


@pytest.mark.parametrize(("gpus", "processes"), [(0, "1"), (1, "1"), (8, "8")])
def test_torchrun_finds_the_first_of_several_nodes(gpus: int, processes: str) -> None:
    assert torchrun({"trainer": {"gpus": gpus, "nodes": 2}}) == {
        "PET_NNODES": "2", "PET_NPROC_PER_NODE": processes, "PET_NODE_RANK": "",
        "PET_MASTER_ADDR": "cats-0.cats", "PET_MASTER_PORT": "29500",
    }  # fmt: skip


def test_the_rank_of_a_node_is_the_jobs_index() -> None:
    (rank,) = (item for item in container(TWO_NODES)["env"] if item["name"] == "PET_NODE_RANK")
    path = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert rank["valueFrom"] == {"fieldRef": {"fieldPath": path}}


@pytest.mark.parametrize(("nodes", "label"), [(1, None), (2, "2")])
def test_only_pods_of_several_nodes_have_the_label_that_lets_them_reach_each_other(
    nodes: int, label: str | None
) -> None:
    made = job_manifest(b.trainingjob({"trainer": {"nodes": nodes}}), SETTINGS)
    assert made["spec"]["template"]["metadata"]["labels"].get("vott.dev/nodes") == label


def test_kueues_labels_and_no_others_go_to_the_job() -> None:
    kueue = {"kueue.x-k8s.io/queue-name": "gpu", "kueue.x-k8s.io/priority-class": "high"}
    made = job_manifest(b.trainingjob(metadata={"labels": kueue | {"team": "cats"}}), SETTINGS)
    assert made["metadata"]["labels"].items() >= kueue.items()
    assert "team" not in made["metadata"]["labels"]


def test_a_deadline_is_the_jobs() -> None:
    assert job_manifest(b.trainingjob({"activeDeadlineSeconds": 60}), SETTINGS)["spec"]["activeDeadlineSeconds"] == 60
    assert "activeDeadlineSeconds" not in job_manifest(b.trainingjob(), SETTINGS)["spec"]
