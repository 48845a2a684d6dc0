"""The trainer's pod: arguments, environment, resources, tolerations, security context and labels."""

import json
from typing import Any

import pytest

from tests.support import observed_state as b
from vott_guard.rules import Rules
from vott_operator.errors import PodTemplateError
from vott_operator.objects import pod
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

TWO_NODES: dict[str, Any] = {"trainer": {"nodes": 2}}
WITH_CALLBACK: dict[str, Any] = {"callback": {"url": "https://h/s"}}
SIGNED_CALLBACKS = PodSettings(TrainerSettings(image="trainer:1"), signed_callbacks=True)


def pod_spec(spec: dict[str, Any] | None = None, settings: PodSettings = b.POD_SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = pod.template(b.trainingjob(spec), settings)["spec"]
    return result


def container(spec: dict[str, Any] | None = None, settings: PodSettings = b.POD_SETTINGS) -> dict[str, Any]:
    result: dict[str, Any] = pod_spec(spec, settings)["containers"][0]
    return result


# ------------------------------------------------------------------------------------------------- arguments and URLs


def test_urls_are_passed_as_arguments_or_as_files() -> None:
    plain = container({"callback": {"url": "https://h/s"}})["args"]
    assert plain[plain.index("--model") + 1] == "https://store/models"
    files = container({"urlSecretRef": {"name": "x"}})["args"]
    assert files[files.index("--model") + 1] == "@/var/run/vott/urls/model"
    assert "--status" not in files


def test_the_pod_does_not_get_the_url_of_a_signed_callback() -> None:
    assert "--status" in container(WITH_CALLBACK)["args"]
    assert "--status" not in container(WITH_CALLBACK, SIGNED_CALLBACKS)["args"]
    assert "https://h/s" not in json.dumps(pod_spec(WITH_CALLBACK, SIGNED_CALLBACKS))


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({}, ["annotations", "model"]),
        ({"initialWeights": "https://s/old.tgz"}, ["annotations", "model", "initialWeights"]),
    ],
)
def test_the_url_of_a_signed_callback_is_not_mounted(parameters: dict[str, Any], keys: list[str]) -> None:
    spec = pod_spec(WITH_CALLBACK | {"urlSecretRef": {"name": "x"}, "parameters": parameters}, SIGNED_CALLBACKS)
    (secret,) = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "urls"]
    assert secret["items"] == [{"key": key, "path": key} for key in keys]


def test_the_whole_secret_is_mounted_where_callbacks_are_not_signed() -> None:
    spec = pod_spec(WITH_CALLBACK | {"urlSecretRef": {"name": "x"}})
    (secret,) = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "urls"]
    assert secret == {"secretName": "x", "defaultMode": 0o440}


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
    ids=["no Secret", "a name", "not a string"],
)
def test_other_initial_weights_stay_a_parameter(spec: dict[str, Any]) -> None:
    arguments = container(spec)["args"]
    assert "--initial-weights" not in arguments
    assert json.loads(arguments[arguments.index("--parameters") + 1]) == spec["parameters"]


def test_a_message_can_not_read_the_environment() -> None:
    arguments = container({"parameters": {"architecture": "$(AZURE_STORAGE_CONNECTION_STRING)"}})["args"]
    # Kubernetes turns $$ into $ and expands nothing after it.
    assert '{"architecture":"$$(AZURE_STORAGE_CONNECTION_STRING)"}' in arguments


# --------------------------------------------------------------------------------------------------------- environment


def test_the_pod_gets_every_rule_so_that_no_template_can_add_one() -> None:
    rules = Rules(allow_http=True, hosts=("minio.store",))
    variables = container(settings=PodSettings(b.POD_SETTINGS.trainer, rules))["env"]
    assert rules.to_environment().items() <= {item["name"]: item.get("value") for item in variables}.items()
    for name in Rules().to_environment():
        custom = {"containers": [{"name": "trainer", "env": [{"name": name, "value": "10.0.0.0/8"}]}]}
        with pytest.raises(PodTemplateError, match=name):
            container({"podTemplate": {"spec": custom}})


def test_the_pod_logs_in_the_operator_s_format() -> None:
    json_log = PodSettings(b.POD_SETTINGS.trainer, log_format="json")
    assert {"name": "VOTT_LOG_FORMAT", "value": "json"} in container(settings=json_log)["env"]
    assert "VOTT_LOG_FORMAT" not in {item["name"] for item in container()["env"]}


@pytest.mark.parametrize(
    ("template", "seconds"),
    [({}, "60"), ({"terminationGracePeriodSeconds": 600}, "600"), ({"terminationGracePeriodSeconds": None}, "60")],
    ids=["setting", "pod template", "null"],
)
def test_the_trainer_gets_its_grace_period(template: dict[str, Any], seconds: str) -> None:
    spec = pod_spec({"podTemplate": {"spec": template}})
    environment = {item["name"]: item.get("value") for item in spec["containers"][0]["env"]}
    assert environment["VOTT_GRACE_SECONDS"] == str(spec["terminationGracePeriodSeconds"]) == seconds


def torchrun(spec: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container(spec)["env"] if item["name"].startswith("PET_")}


def test_one_gpu_needs_no_torchrun() -> None:
    assert torchrun({}) == torchrun({"trainer": {"gpus": 0}}) == {}


def test_torchrun_starts_a_process_for_each_gpu_of_one_node() -> None:
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


def test_the_rank_of_a_node_is_its_completion_index() -> None:
    (rank,) = (item for item in container(TWO_NODES)["env"] if item["name"] == "PET_NODE_RANK")
    path = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert rank["valueFrom"] == {"fieldRef": {"fieldPath": path}}


# ------------------------------------------------------------------------------------- resources, nodes and security


def tolerated(spec: dict[str, Any] | None = None, settings: PodSettings = b.POD_SETTINGS) -> set[str]:
    return {item["key"] for item in pod_spec(spec, settings)["tolerations"]}


def test_the_pod_requests_a_gpu_and_tolerates_gpu_and_spot_nodes() -> None:
    assert container()["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod_spec()["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
    ]


def test_settings_exclude_spot_nodes_and_add_tolerations() -> None:
    trainer = TrainerSettings(image="t", tolerate_spot=False, tolerations=[{"key": "team", "operator": "Exists"}])
    assert tolerated(settings=PodSettings(trainer)) == {"nvidia.com/gpu", "sku", "team"}


def test_another_gpu_resource_is_requested_and_its_taint_tolerated() -> None:
    spec = {"trainer": {"gpus": 2, "gpuResourceName": "nvidia.com/mig-1g.10gb"}}
    assert container(spec)["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 2
    assert "nvidia.com/mig-1g.10gb" in tolerated(spec)


def test_zero_gpus_request_none() -> None:
    assert "nvidia.com/gpu" not in container({"trainer": {"gpus": 0}})["resources"]["limits"]


def test_the_specs_image_and_resources_override_the_settings() -> None:
    own = container({"trainer": {"image": "own:2", "resources": {"requests": {"cpu": 4}, "limits": {"memory": "1Gi"}}}})
    assert own["image"] == "own:2"
    assert own["resources"] == {
        "requests": {"cpu": 4, "ephemeral-storage": "10Gi"},
        "limits": {"memory": "1Gi", "nvidia.com/gpu": 1},
    }


def test_the_pod_is_restricted() -> None:
    security = pod_spec()["securityContext"] | container()["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(("nodes", "label"), [(1, None), (2, "2")])
def test_only_pods_of_several_nodes_have_the_label_that_lets_them_reach_each_other(
    nodes: int, label: str | None
) -> None:
    template = pod.template(b.trainingjob({"trainer": {"nodes": nodes}}), b.POD_SETTINGS)
    assert template["metadata"]["labels"].get("vott.dev/nodes") == label
