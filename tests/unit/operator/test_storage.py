"""The administrator's storage in the pod: volumes, variables and credentials for checkpoints, cache, plugins and stores."""

from typing import Any

import pytest

from tests.support import observed_state as b
from vott_guard.rules import Rules
from vott_operator.errors import PodTemplateError
from vott_operator.objects.job import job_manifest
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.storage import size_in_bytes
from vott_operator.settings.trainer import TrainerSettings

Object = dict[str, Any]
SECRET: Object = {"secretName": "mine"}
IDENTITY: Object = {"workloadIdentity": {"clientId": "abc"}}
CONTAINER_URL = "https://acme.blob.core.windows.net/checkpoints"


def template(settings: Object) -> Object:
    job: Object = job_manifest(b.trainingjob(), PodSettings(TrainerSettings.model_validate({"image": "t"} | settings)))
    result: Object = job["spec"]["template"]
    return result


def environment(settings: Object) -> dict[str, Object]:
    variables = template(settings)["spec"]["containers"][0]["env"]
    assert len({item["name"] for item in variables}) == len(variables)
    return {item["name"]: item for item in variables}


def literals(settings: Object) -> dict[str, str]:
    return {name: item["value"] for name, item in environment(settings).items() if "value" in item}


def secret_keys(settings: Object) -> dict[str, bool]:
    """The variables from the Secret, and whether each is required."""
    references = {
        name: item["valueFrom"]["secretKeyRef"]
        for name, item in environment(settings).items()
        if "secretKeyRef" in item.get("valueFrom", {})
    }
    assert all(reference["name"] == "mine" and reference["key"] == name for name, reference in references.items())
    return {name: not reference.get("optional") for name, reference in references.items()}


def mounted(settings: Object) -> dict[str, Object]:
    """The volume at each path, except those that every pod has."""
    spec = template(settings)["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert len(volumes) == len(spec["volumes"])
    mounts = spec["containers"][0]["volumeMounts"]
    usual = ("/work", "/tmp", "/dev/shm")
    return {
        mount["mountPath"]: {**volumes[mount["name"]], "readOnly": mount.get("readOnly", False)}
        for mount in mounts
        if mount["mountPath"] not in usual
    }


def test_by_default_there_is_no_storage() -> None:
    assert not mounted({})
    assert not secret_keys({})
    named = {name for name in literals({}) if name.startswith("VOTT_")} - Rules().to_environment().keys()
    assert named == {"VOTT_WORK_DIR", "VOTT_WORK_BYTES", "VOTT_GRACE_SECONDS", "VOTT_CHECKPOINT_SECONDS"}
    assert literals({})["VOTT_CHECKPOINT_SECONDS"] == "600"


def test_administrators_budget_reaches_the_trainer() -> None:
    assert literals({"budgetMinutes": 7.5})["VOTT_BUDGET_MINUTES"] == "7.5"
    assert "VOTT_BUDGET_MINUTES" not in literals({})


def test_trainer_knows_the_limits_of_its_disk() -> None:
    settings = {"workVolume": "3Gi"}
    volumes = {volume["name"]: volume for volume in template(settings)["spec"]["volumes"]}
    assert volumes["work"]["emptyDir"] == {"sizeLimit": "3Gi"}
    assert literals(settings)["VOTT_WORK_BYTES"] == str(3 * 2**30)
    assert environment(settings)["VOTT_EPHEMERAL_BYTES"]["valueFrom"] == {
        "resourceFieldRef": {"resource": "limits.ephemeral-storage"}
    }


def test_checkpoints_go_to_a_persistent_volume_claim() -> None:
    settings = {"checkpoints": {"persistentVolumeClaim": "mine", "everySeconds": 60}}
    assert mounted(settings) == {
        "/checkpoints": {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "mine"}, "readOnly": False}
    }
    variables = literals(settings)
    assert (variables["VOTT_CHECKPOINTS"], variables["VOTT_CHECKPOINT_SECONDS"]) == ("/checkpoints", "60")


def test_checkpoints_go_to_a_container_of_the_workload_identity() -> None:
    settings = {"checkpoints": {"url": CONTAINER_URL}} | IDENTITY
    assert not mounted(settings)
    assert not secret_keys(settings)
    assert literals(settings)["VOTT_CHECKPOINTS"] == CONTAINER_URL


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ({"modelStore": SECRET | {"containers": ["models"]}}, {"AZURE_STORAGE_CONNECTION_STRING": True}),
        (
            {"modelStore": SECRET | {"containers": ["https://acme.blob.core.windows.net/models"]}} | IDENTITY,
            {"AZURE_STORAGE_CONNECTION_STRING": False},
        ),
        (
            {"modelStore": SECRET, "checkpoints": {"url": CONTAINER_URL}},
            {"AZURE_STORAGE_CONNECTION_STRING": False},
        ),
        (
            {"modelStore": SECRET | {"buckets": ["models"]}},
            {
                "AWS_ACCESS_KEY_ID": True,
                "AWS_SECRET_ACCESS_KEY": True,
                "AWS_SESSION_TOKEN": False,
                "AWS_REGION": False,
                "AWS_ENDPOINT_URL": False,
            },
        ),
        ({"modelStore": {"buckets": ["models"]}}, {}),
        ({"modelStore": SECRET}, {}),
        ({"modelStore": SECRET, "dataStore": {"containers": ["data"]}}, {"AZURE_STORAGE_CONNECTION_STRING": True}),
        (
            {"modelStore": SECRET, "dataStore": {"containers": [CONTAINER_URL]}} | IDENTITY,
            {"AZURE_STORAGE_CONNECTION_STRING": False},
        ),
        (
            {"modelStore": SECRET, "dataStore": {"buckets": ["data"]}},
            {
                "AWS_ACCESS_KEY_ID": True,
                "AWS_SECRET_ACCESS_KEY": True,
                "AWS_SESSION_TOKEN": False,
                "AWS_REGION": False,
                "AWS_ENDPOINT_URL": False,
            },
        ),
    ],
    ids=[
        "named container",
        "container's URL",
        "checkpoints",
        "bucket",
        "bucket without a Secret",
        "no store",
        "named container of data",
        "URL of a container of data",
        "bucket of data",
    ],
)
def test_a_pod_gets_the_keys_that_its_stores_need(settings: Object, variables: dict[str, bool]) -> None:
    assert secret_keys(settings) == variables


def test_the_pod_gets_the_allowed_containers_and_buckets() -> None:
    variables = literals({"modelStore": SECRET | {"containers": ["a", "b"], "buckets": ["one", "two/of-us", "*"]}})
    assert (variables["VOTT_MODEL_CONTAINERS"], variables["VOTT_MODEL_BUCKETS"]) == ("a,b", "one,two/of-us,*")
    assert not {"VOTT_DATA_CONTAINERS", "VOTT_DATA_BUCKETS"} & variables.keys()


def test_the_pod_gets_the_containers_and_buckets_that_data_may_be_in() -> None:
    variables = literals({"modelStore": SECRET, "dataStore": {"containers": ["a", "b"], "buckets": ["cats/d"]}})
    assert (variables["VOTT_DATA_CONTAINERS"], variables["VOTT_DATA_BUCKETS"]) == ("a,b", "cats/d")
    assert not {"VOTT_MODEL_CONTAINERS", "VOTT_MODEL_BUCKETS"} & variables.keys()


def test_a_workload_identity_labels_the_pods() -> None:
    label = "azure.workload.identity/use"
    assert template(IDENTITY)["metadata"]["labels"][label] == "true"
    assert label not in template({})["metadata"]["labels"]


@pytest.mark.parametrize(
    ("location", "volume"),
    [
        ({"persistentVolumeClaim": "images"}, {"persistentVolumeClaim": {"claimName": "images"}}),
        ({"hostPath": "/var/images"}, {"hostPath": {"path": "/var/images", "type": "DirectoryOrCreate"}}),
    ],
)
def test_images_are_cached_on_a_claim_or_on_the_node(location: Object, volume: Object) -> None:
    settings = {"imageCache": location | {"sizeLimit": "10Gi"}}
    assert mounted(settings) == {"/cache": {"name": "image-cache", "readOnly": False} | volume}
    variables = literals(settings)
    assert (variables["VOTT_IMAGE_CACHE"], variables["VOTT_IMAGE_CACHE_BYTES"]) == ("/cache", str(10 * 2**30))


@pytest.mark.parametrize(
    ("location", "volume"),
    [
        ({"configMap": "ours"}, {"configMap": {"name": "ours", "optional": True}}),
        ({"persistentVolumeClaim": "ours"}, {"persistentVolumeClaim": {"claimName": "ours"}}),
    ],
)
def test_plugins_come_from_a_read_only_volume(location: Object, volume: Object) -> None:
    assert mounted({"plugins": location}) == {"/plugins": {"name": "plugins", "readOnly": True} | volume}
    assert literals({"plugins": location})["VOTT_PLUGINS"] == "/plugins"


def test_a_pod_template_can_not_change_a_location() -> None:
    custom = {"containers": [{"name": "trainer", "env": [{"name": "VOTT_CHECKPOINTS", "value": "/elsewhere"}]}]}
    settings = TrainerSettings.model_validate({"image": "t", "checkpoints": {"persistentVolumeClaim": "mine"}})
    with pytest.raises(PodTemplateError, match="VOTT_CHECKPOINTS"):
        job_manifest(b.trainingjob({"podTemplate": {"spec": custom}}), PodSettings(settings))


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("1", 1), ("5k", 5000), ("3Ki", 3072), ("2Mi", 2**21), ("100Gi", 100 * 2**30), ("1T", 10**12)],
)
def test_a_quantity_is_converted_to_bytes(quantity: str, size: int) -> None:
    assert size_in_bytes(quantity) == size


@pytest.mark.parametrize("quantity", ["", "1 Gi", "1.5Gi", "-1Gi", "Gi", "1gb", "1ki", "1Ki5"])
def test_an_invalid_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size_in_bytes(quantity)
