"""spec.podTemplate, merged under the operator's own pod template."""

from typing import Any

import pytest

from tests.support import observed_state as b
from vott_operator.errors import PodTemplateError
from vott_operator.objects.job import job_manifest
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

SETTINGS = PodSettings(
    TrainerSettings(
        image="trainer:1",
        node_selector={"agentpool": "gpu", "zone": "1"},
        tolerations=[{"key": "team", "operator": "Exists"}],
    )
)
PVC = {"name": "dataset", "persistentVolumeClaim": {"claimName": "datasets", "readOnly": True}}
Object = dict[str, Any]


def template(custom: Object) -> Object:
    result: Object = job_manifest(b.trainingjob({"podTemplate": custom}), SETTINGS)["spec"]["template"]
    return result


def pod(**spec: Any) -> Object:
    result: Object = template({"spec": spec})["spec"]
    return result


def trainer(**fields: Any) -> Object:
    result: Object = pod(containers=[{"name": "trainer", **fields}])["containers"][0]
    return result


def named(items: list[Object], key: str = "name") -> dict[str, Object]:
    assert len({item[key] for item in items}) == len(items)
    return {item[key]: item for item in items}


OWN = template({})


def test_a_volume_is_added_to_the_operators_own() -> None:
    mount = {"name": "dataset", "mountPath": "/data", "readOnly": True}
    result = pod(volumes=[PVC], containers=[{"name": "trainer", "volumeMounts": [mount]}])
    assert named(result["volumes"]) == named(OWN["spec"]["volumes"]) | {"dataset": PVC}
    (container,) = result["containers"]
    assert named(container["volumeMounts"], "mountPath").keys() == {"/work", "/tmp", "/dev/shm", "/data"}
    assert container["image"] == "trainer:1"


def test_sidecars_are_added() -> None:
    sidecar = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    result = pod(initContainers=[sidecar], containers=[{"name": "watcher", "image": "watcher:1"}])
    assert result["initContainers"] == [sidecar]
    assert [container["name"] for container in result["containers"]] == ["trainer", "watcher"]


def test_environment_variables_are_added_after_the_operators_own() -> None:
    added = {"name": "NCCL_DEBUG", "value": "INFO"}
    assert trainer(env=[added])["env"] == [*OWN["spec"]["containers"][0]["env"], added]


def test_tolerations_are_added_once() -> None:
    existing, new = {"key": "team", "operator": "Exists"}, {"key": "team", "operator": "Exists", "effect": "NoExecute"}
    assert pod(tolerations=[existing, new])["tolerations"] == [*OWN["spec"]["tolerations"], new]


def test_the_administrators_defaults_are_overridden() -> None:
    result = pod(
        nodeSelector={"agentpool": "a100", "disk": "ssd"},
        terminationGracePeriodSeconds=600,
        containers=[{"name": "trainer", "imagePullPolicy": "Always"}],
    )
    assert result["nodeSelector"] == {"agentpool": "a100", "zone": "1", "disk": "ssd"}
    assert result["terminationGracePeriodSeconds"] == 600
    assert result["containers"][0]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize(
    "spec",
    [
        {"priorityClassName": "high"},
        {"affinity": {"nodeAffinity": {}}},
        {"schedulerName": "volcano"},
        {"imagePullSecrets": [{"name": "registry"}]},
        {"runtimeClassName": "nvidia"},
        {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]},
        {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "h200"}]},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_other_fields_of_the_pod_are_kept(spec: Object) -> None:
    assert pod(**spec) == OWN["spec"] | spec


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ["/bin/sh", "-c", 'exec python -m vott_trainer "$@"', "--"]},
        {"envFrom": [{"configMapRef": {"name": "proxy"}}]},
        {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
        {"ports": [{"containerPort": 9400}]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_other_fields_of_the_trainer_are_kept(fields: Object) -> None:
    assert trainer(**fields) == OWN["spec"]["containers"][0] | fields


def test_maps_are_merged_deeply() -> None:
    result = trainer(resources={"claims": [{"name": "gpu"}], "limits": {"rdma/hca": 1}})
    own = OWN["spec"]["containers"][0]["resources"]
    assert result["resources"] == own | {"claims": [{"name": "gpu"}], "limits": own["limits"] | {"rdma/hca": 1}}
    security = pod(securityContext={"supplementalGroups": [2000]})["securityContext"]
    assert security == OWN["spec"]["securityContext"] | {"supplementalGroups": [2000]}


def test_labels_and_annotations_are_added_to_the_operators_own() -> None:
    result = template({"metadata": {"labels": {"team": "cats"}, "annotations": {"sidecar.istio.io/inject": "false"}}})
    assert result["metadata"]["labels"] == OWN["metadata"]["labels"] | {"team": "cats"}
    assert result["metadata"]["annotations"] == OWN["metadata"]["annotations"] | {"sidecar.istio.io/inject": "false"}


def test_the_annotations_against_autoscalers_can_be_overridden() -> None:
    annotation = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    assert OWN["metadata"]["annotations"].items() >= {("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")}
    assert template({"metadata": {"annotations": annotation}})["metadata"]["annotations"].items() >= annotation.items()


def test_equal_values_are_no_contradiction() -> None:
    assert template({"metadata": OWN["metadata"], "spec": OWN["spec"]}) == OWN


def test_null_means_not_set() -> None:
    assert template({"spec": {"restartPolicy": None, "containers": None, "volumes": None}}) == OWN


LEAVE = "leave it out"


@pytest.mark.parametrize(
    ("custom", "path", "remedy"),
    [
        ({"spec": {"serviceAccountName": "admin"}}, "spec.serviceAccountName", "leave it out: the chart's ServiceAccount"),
        ({"spec": {"restartPolicy": "OnFailure"}}, "spec.restartPolicy", f"to 'Never'; {LEAVE}"),
        ({"spec": {"enableServiceLinks": True}}, "spec.enableServiceLinks", LEAVE),
        ({"spec": {"securityContext": {"runAsUser": 0}}}, "spec.securityContext.runAsUser", LEAVE),
        ({"spec": {"volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": "x"}}]}},
         "spec.volumes[work]", "give your volume another name"),
        ({"metadata": {"labels": {"vott.dev/trainingjob": "other"}}}, "metadata.labels[vott.dev/trainingjob]", LEAVE),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)  # fmt: skip
def test_a_contradiction_names_the_path_and_the_remedy(custom: Object, path: str, remedy: str) -> None:
    assert f"spec.podTemplate.{path} is set by the operator" in (text := error(custom))
    assert remedy in text


@pytest.mark.parametrize(
    ("fields", "path", "remedy"),
    [
        ({"image": "own:2"}, "image", "to 'trainer:1'; use spec.trainer.image"),
        ({"args": ["--help"]}, "args", "use spec.plugin and spec.parameters"),
        ({"env": [{"name": "HOME", "value": "/home"}]}, "env[HOME]", LEAVE),
        ({"env": [{"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, "env[HOME]", LEAVE),
        ({"resources": {"requests": {"cpu": "9"}}}, "resources.requests.cpu", "use spec.trainer.resources"),
        ({"resources": {"limits": {"nvidia.com/gpu": 8}}}, "resources.limits[nvidia.com/gpu]", "spec.trainer.gpus"),
        ({"volumeMounts": [{"name": "dataset", "mountPath": "/work"}]}, "volumeMounts[/work]", "mount it elsewhere"),
        ({"securityContext": {"privileged": True, "readOnlyRootFilesystem": False}},
         "securityContext.readOnlyRootFilesystem", LEAVE),
        ({"securityContext": {"capabilities": {"drop": []}}}, "securityContext.capabilities.drop", LEAVE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_contradiction_in_the_trainer_names_the_path_and_the_remedy(fields: Object, path: str, remedy: str) -> None:
    text = error({"spec": {"containers": [{"name": "trainer", **fields}]}})
    assert f"spec.podTemplate.spec.containers[trainer].{path} is set by the operator" in text
    assert remedy in text


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": {"name": "trainer"}}, "containers must be a list, not an object"),
        ({"containers": "trainer"}, "containers must be a list, not a string"),
        ({"containers": ["trainer"]}, "containers[0] must be an object, not a string"),
        ({"containers": [None]}, "containers[0] must be an object, not null"),
        ({"containers": [{"image": "x"}]}, "containers[0] has no name, by which this list is merged"),
        ({"containers": [{"name": {}}]}, "containers[0] has no name"),
        (
            {"containers": [{"name": "a"}, {"name": "a"}]},
            "containers[1] has the same name 'a' as another item; remove one",
        ),
        ({"containers": [{"name": "trainer", "env": {"A": "b"}}]}, "containers[trainer].env must be a list"),
        ({"containers": [{"name": "trainer", "volumeMounts": [{"name": "x"}]}]}, "volumeMounts[0] has no mountPath"),
        ({"volumes": [7]}, "volumes[0] must be an object, not a number"),
        ({"tolerations": {"key": "x"}}, "tolerations must be a list, not an object"),
        ({"nodeSelector": ["gpu"]}, "nodeSelector must be an object, not a list"),
        ({"securityContext": True}, "securityContext must be an object, not a boolean"),
    ],
)
def test_a_malformed_template_is_an_error(spec: Object, expected: str) -> None:
    assert f".{expected}" in error({"spec": spec})


def test_an_error_shows_no_value_of_the_template() -> None:
    assert "SECRET" not in error(
        {"spec": {"containers": [{"name": "trainer", "env": [{"name": "HOME", "value": "SECRET"}]}]}}
    )


def error(custom: Object) -> str:
    with pytest.raises(PodTemplateError) as caught:
        template(custom)
    text = str(caught.value)
    assert text.startswith("spec.podTemplate.")
    assert text.endswith(".")
    assert "\n" not in text
    return text
