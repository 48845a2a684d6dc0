"""spec.podTemplate, merged under what the operator sets."""

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


def template(given: Object) -> Object:
    made: Object = job_manifest(b.trainingjob({"podTemplate": given}), SETTINGS)["spec"]["template"]
    return made


def pod(**spec: Any) -> Object:
    made: Object = template({"spec": spec})["spec"]
    return made


def trainer(**fields: Any) -> Object:
    made: Object = pod(containers=[{"name": "trainer", **fields}])["containers"][0]
    return made


def named(items: list[Object], key: str = "name") -> dict[str, Object]:
    assert len({item[key] for item in items}) == len(items)
    return {item[key]: item for item in items}


OWN = template({})


def test_a_dataset_cache_is_mounted_beside_the_operators_own_volumes() -> None:
    mount = {"name": "dataset", "mountPath": "/data", "readOnly": True}
    made = pod(volumes=[PVC], containers=[{"name": "trainer", "volumeMounts": [mount]}])
    assert named(made["volumes"]) == named(OWN["spec"]["volumes"]) | {"dataset": PVC}
    (container,) = made["containers"]
    assert named(container["volumeMounts"], "mountPath").keys() == {"/work", "/tmp", "/dev/shm", "/data"}
    assert container["image"] == "trainer:1"


def test_a_sidecar_runs_beside_the_trainer() -> None:
    sidecar = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    made = pod(initContainers=[sidecar], containers=[{"name": "watcher", "image": "watcher:1"}])
    assert made["initContainers"] == [sidecar]
    assert [container["name"] for container in made["containers"]] == ["trainer", "watcher"]


def test_more_environment_comes_after_the_operators_own() -> None:
    more = {"name": "NCCL_DEBUG", "value": "INFO"}
    assert trainer(env=[more])["env"] == [*OWN["spec"]["containers"][0]["env"], more]


def test_tolerations_are_added_and_none_twice() -> None:
    known, new = {"key": "team", "operator": "Exists"}, {"key": "team", "operator": "Exists", "effect": "NoExecute"}
    assert pod(tolerations=[known, new])["tolerations"] == [*OWN["spec"]["tolerations"], new]


def test_the_administrators_defaults_give_way() -> None:
    made = pod(
        nodeSelector={"agentpool": "a100", "disk": "ssd"},
        terminationGracePeriodSeconds=600,
        containers=[{"name": "trainer", "imagePullPolicy": "Always"}],
    )
    assert made["nodeSelector"] == {"agentpool": "a100", "zone": "1", "disk": "ssd"}
    assert made["terminationGracePeriodSeconds"] == 600
    assert made["containers"][0]["imagePullPolicy"] == "Always"


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
def test_what_the_operator_does_not_set_is_taken_as_it_is(spec: Object) -> None:
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
def test_what_the_operator_does_not_set_of_the_trainer_is_taken_as_it_is(fields: Object) -> None:
    assert trainer(**fields) == OWN["spec"]["containers"][0] | fields


def test_maps_are_merged_deeply() -> None:
    made = trainer(resources={"claims": [{"name": "gpu"}], "limits": {"rdma/hca": 1}})
    own = OWN["spec"]["containers"][0]["resources"]
    assert made["resources"] == own | {"claims": [{"name": "gpu"}], "limits": own["limits"] | {"rdma/hca": 1}}
    security = pod(securityContext={"supplementalGroups": [2000]})["securityContext"]
    assert security == OWN["spec"]["securityContext"] | {"supplementalGroups": [2000]}


def test_labels_and_annotations_come_beside_the_operators_own() -> None:
    made = template({"metadata": {"labels": {"team": "cats"}, "annotations": {"sidecar.istio.io/inject": "false"}}})
    assert made["metadata"]["labels"] == OWN["metadata"]["labels"] | {"team": "cats"}
    assert made["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}


def test_saying_the_same_is_no_conflict() -> None:
    assert template({"metadata": OWN["metadata"], "spec": OWN["spec"]}) == OWN


def test_null_says_nothing() -> None:
    assert template({"spec": {"restartPolicy": None, "containers": None, "volumes": None}}) == OWN


LEAVE = "leave it out"


@pytest.mark.parametrize(
    ("given", "path", "remedy"),
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
def test_a_contradiction_names_the_path_and_the_remedy(given: Object, path: str, remedy: str) -> None:
    assert f"spec.podTemplate.{path} is set by the operator" in (said := refusal(given))
    assert remedy in said


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
    said = refusal({"spec": {"containers": [{"name": "trainer", **fields}]}})
    assert f"spec.podTemplate.spec.containers[trainer].{path} is set by the operator" in said
    assert remedy in said


@pytest.mark.parametrize(
    ("spec", "said"),
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
def test_a_malformed_template_is_refused_with_a_sentence(spec: Object, said: str) -> None:
    assert f".{said}" in refusal({"spec": spec})


def test_a_refusal_shows_no_value_of_the_templates() -> None:
    assert "SECRET" not in refusal(
        {"spec": {"containers": [{"name": "trainer", "env": [{"name": "HOME", "value": "SECRET"}]}]}}
    )


def refusal(given: Object) -> str:
    with pytest.raises(PodTemplateError) as caught:
        template(given)
    said = str(caught.value)
    assert said.startswith("spec.podTemplate.")
    assert said.endswith(".")
    assert "\n" not in said
    return said
