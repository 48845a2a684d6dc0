"""Manifests that Helm renders from the chart's values."""

import json
from pathlib import Path

import pytest

from tests.support.helm import KEYS, Object, lint, manifest_of_kind, notes, render
from vott_messaging.messages import json_schema
from vott_messaging.settings.program import CONFIG_ENV
from vott_operator.api.status import TrainingJobStatus
from vott_operator.objects import preflight
from vott_operator.settings.loading import load
from vott_operator.settings.operator import Settings

TEAMS: list[Object] = [
    {"name": "cats", "targetNamespace": "team-a", "secretName": "of-team-a", "parameters": {"epochs": 3}},
    {
        "kind": "serviceBus",
        "name": "dogs",
        "serviceBusNamespace": "acme-bus",
        "targetNamespace": "team-b",
        "plugins": {"default": "hello-world", "allowed": ["hello-world"]},
        "model": "https://acme.blob.core.windows.net/models/{projectId}/{requestId}.tgz",
        "callback": "https://vott.acme.net/{requestId}",
        "duplicateWindowSeconds": 60,
        "trainingJob": {"trainer": {"gpus": 4}, "activeDeadlineSeconds": 10_000_000},
    },
]
CACHE: Object = {
    "spec": {
        "volumes": [{"name": "dataset", "persistentVolumeClaim": {"claimName": "datasets"}}],
        "containers": [{"name": "trainer", "volumeMounts": [{"name": "dataset", "mountPath": "/data"}]}],
    }
}


def operator_pod(manifests: list[Object]) -> Object:
    spec: Object = manifest_of_kind("Deployment", manifests)["spec"]["template"]["spec"]
    return spec


def settings(manifests: list[Object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(manifest_of_kind("ConfigMap", manifests)["data"]["settings.yaml"])
    monkeypatch.setenv(CONFIG_ENV, str(file))
    loaded = load()
    preflight.check(loaded)
    return loaded


def test_the_operator_loads_the_settings_that_the_chart_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"azure": {"existingSecret": "ours"}, "queues": TEAMS, "ttlSecondsAfterFinished": 3600}
    found = settings(render(values), tmp_path, monkeypatch)
    cats, dogs = found.queues
    assert found.namespaces == ["team-a", "team-b", "train"]
    assert (found.ttl_seconds_after_finished, found.leader_election.lease_name) == (3600, "vott")
    assert (cats.kind, cats.parameters, str(cats.credentials_dir)) == (
        "storage", {"epochs": 3}, "/etc/vott-train/credentials/of-team-a",
    )  # fmt: skip
    assert (dogs.kind, dogs.service_bus_namespace, str(dogs.credentials_dir)) == (
        "serviceBus", "acme-bus", "/etc/vott-train/credentials/ours",
    )  # fmt: skip
    assert (dogs.model, dogs.callback, dogs.duplicate_window_seconds) == (
        TEAMS[1]["model"], TEAMS[1]["callback"], 60,
    )  # fmt: skip
    assert found.plugins_of(dogs).allowed == ["hello-world"]


def test_the_notes_have_the_schemas_of_message_and_callback() -> None:
    schemas = [json.loads(line) for line in notes({"azure": KEYS}).splitlines() if line.lstrip().startswith("{")]
    assert schemas == [json_schema.message_schema(), json_schema.callback_schema()]


def test_defaults_of_trainingjobs_reach_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "azure": KEYS,
        "queues": TEAMS,
        "trainer": {"tolerateSpot": False, "stalledAfterSeconds": 0},
        "trainingJob": {"labels": {"kueue.x-k8s.io/queue-name": "gpu"}, "podTemplate": CACHE, "backoffLimit": 0},
    }
    found = settings(render(values), tmp_path, monkeypatch)
    cats, dogs = (found.trainingjob_settings_of(queue) for queue in found.queues)
    assert (found.trainer.tolerate_spot, found.trainer.stalled_after_seconds) == (False, 0)
    assert cats.labels == {"kueue.x-k8s.io/queue-name": "gpu"}
    assert cats.to_spec() == {"podTemplate": CACHE, "backoffLimit": 0}
    assert (dogs.labels, dogs.to_spec()) == ({}, {"trainer": {"gpus": 4}, "activeDeadlineSeconds": 10_000_000})


STORES: list[tuple[Object, str]] = [
    ({}, ""),
    ({"modelStore": {"containers": ["models"], "secretName": "mine"}}, "mine"),
    ({"modelStore": {"containers": ["*"], "secretName": "mine"}}, "mine"),
    ({"modelStore": {"buckets": ["models"], "secretName": "mine"}}, "mine"),
    ({"dataStore": {"containers": ["data"]}, "modelStore": {"secretName": "mine"}}, "mine"),
    ({"dataStore": {"buckets": ["data"]}, "modelStore": {"secretName": "mine"}}, "mine"),
    (
        {
            "workloadIdentity": {"clientId": "abc"},
            "dataStore": {"containers": ["https://acme.blob.core.windows.net/data"]},
        },
        "",
    ),
    (
        {
            "checkpoints": {"url": "https://acme.blob.core.windows.net/checkpoints"},
            "modelStore": {"secretName": "mine"},
        },
        "mine",
    ),
    (
        {
            "checkpoints": {"url": "https://acme.blob.core.windows.net/checkpoints"},
            "workloadIdentity": {"clientId": "abc"},
            "modelStore": {"containers": ["https://acme.blob.core.windows.net/models"]},
        },
        "",
    ),
]


@pytest.mark.parametrize(("trainer", "secret"), STORES)
def test_stores_of_trainings_use_the_right_secret(
    trainer: Object, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(render({"azure": KEYS, "trainer": trainer}), tmp_path, monkeypatch).trainer
    assert found.model_store.secret_name == secret
    assert found.data_store.containers == trainer.get("dataStore", {}).get("containers", [])


def test_volumes_of_trainings_reach_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = {
        "checkpoints": {"persistentVolumeClaim": "checkpoints", "everySeconds": 10_000_000},
        "imageCache": {"hostPath": "/var/images", "sizeLimit": "1Ti"},
        "plugins": {"configMap": "our-plugins"},
    }
    found = settings(render({"azure": KEYS, "trainer": trainer}), tmp_path, monkeypatch).trainer
    assert (found.checkpoints.persistent_volume_claim, found.checkpoints.every_seconds) == ("checkpoints", 10_000_000)
    assert (found.image_cache.host_path, found.image_cache.size_bytes) == ("/var/images", 2**40)
    assert found.plugins.config_map == "our-plugins"


def test_the_trainers_service_account_has_the_workload_identity_in_every_namespace() -> None:
    identity = {"workloadIdentity": {"clientId": "abc"}}
    manifests = render({"azure": KEYS, "queues": TEAMS, "trainer": identity | {"modelStore": {"secretName": "s"}}})
    accounts = [item["metadata"] for item in manifests if item["kind"] == "ServiceAccount"]
    trainers = {meta["namespace"]: meta.get("annotations") for meta in accounts if meta["name"] == "vott-trainer"}
    annotation = {"azure.workload.identity/client-id": "abc"}
    assert trainers == {"team-a": annotation, "team-b": annotation, "train": annotation}
    assert [meta.get("annotations") for meta in accounts if meta["name"] == "vott"] == [None]


def test_the_admission_policy_protects_every_status_field_that_the_trainer_does_not_own() -> None:
    manifests = {(item["kind"], item["metadata"]["name"]): item for item in render({"azure": KEYS})}
    policy = json.dumps(manifests["ValidatingAdmissionPolicy", "vott-trainer.train.vott.dev"])
    trainers = {"progress", "metrics", "model", "checkpoint"}
    for field in TrainingJobStatus.model_fields.values():
        assert (f"object.?status.?{field.alias} ==" in policy) == (field.alias not in trainers), field.alias


def test_trainingjobs_have_no_defaults_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(render({"azure": KEYS}), tmp_path, monkeypatch)
    assert (found.training_job.labels, found.training_job.to_spec()) == ({}, {})


@pytest.mark.parametrize(("value", "seconds"), [(0, 0), ("never", None), ("3600", 3600), (None, 604_800)])
def test_a_ttl_may_be_zero_and_never(
    value: object, seconds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"azure": {"existingSecret": "ours"}, "ttlSecondsAfterFinished": value}
    assert settings(render(values), tmp_path, monkeypatch).ttl_seconds_after_finished == seconds


def test_every_secret_is_mounted_once_at_its_credentials_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queues = [*TEAMS, {"name": "birds"}]
    manifests = render({"azure": {"existingSecret": "ours"}, "queues": queues})
    spec = operator_pod(manifests)
    volumes = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in spec["containers"][0]["volumeMounts"]}
    assert sorted(secret for secret in volumes.values() if secret) == ["of-team-a", "ours"]
    for queue in settings(manifests, tmp_path, monkeypatch).queues:
        assert queue.credentials_dir is not None
        assert mounts[str(queue.credentials_dir)] == queue.credentials_dir.name


def test_credentials_are_only_in_the_secret() -> None:
    manifests = render({"azure": {"connectionString": "TOPSECRET", "serviceBusConnectionString": "TOPSECRET"}})
    assert [item["kind"] for item in manifests if "TOPSECRET" in json.dumps(item)] == ["Secret"]


def test_changed_settings_restart_the_pod_and_changed_credentials_do_not() -> None:
    first, second, third = (
        manifest_of_kind("Deployment", render(values))["spec"]["template"]
        for values in (
            {"azure": {"connectionString": "one"}},
            {"azure": {"connectionString": "two"}},
            {"azure": {"connectionString": "two"}, "logLevel": "DEBUG"},
        )
    )
    assert first == second
    assert second != third


def test_a_changed_workload_identity_restarts_the_pod() -> None:
    first, second = (
        manifest_of_kind("Deployment", render({"azure": KEYS | {"workloadIdentity": {"clientId": client_id}}}))["spec"][
            "template"
        ]
        for client_id in ("abc", "def")
    )
    assert first["metadata"]["annotations"].keys() == second["metadata"]["annotations"].keys()
    assert first != second


def test_two_replicas_are_spread_over_nodes_and_replaced_one_at_a_time() -> None:
    manifests = render({"azure": KEYS, "replicas": 2})
    deployment = manifest_of_kind("Deployment", manifests)["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "RollingUpdate")
    assert operator_pod(manifests)["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    budget = manifest_of_kind("PodDisruptionBudget", manifests)["spec"]
    assert (budget["maxUnavailable"], budget["selector"]) == (1, deployment["selector"])
    assert "PodDisruptionBudget" not in {item["kind"] for item in render({"azure": KEYS})}


def test_without_leader_election_the_old_pod_ends_before_the_new_one_starts() -> None:
    deployment = manifest_of_kind("Deployment", render({"azure": KEYS, "leaderElection": {"enabled": False}}))
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_a_workload_identity_needs_no_secret() -> None:
    manifests = render(
        {
            "azure": {"workloadIdentity": {"clientId": "abc"}},
            "queues": [
                {"name": "cats", "account": "acme"},
                {"kind": "serviceBus", "name": "dogs", "serviceBusNamespace": "acme-bus"},
            ],
        }
    )
    assert "Secret" not in {item["kind"] for item in manifests}
    assert "credentialsDir" not in manifest_of_kind("ConfigMap", manifests)["data"]["settings.yaml"]


@pytest.mark.parametrize(
    "values", [{}, {"azure": KEYS}, {"azure": KEYS, "queues": TEAMS}], ids=["defaults", "keys", "teams"]
)
def test_the_chart_can_be_linted_without_a_cluster(values: Object) -> None:
    result = lint(values)
    assert result.returncode == 0, result.stdout


def test_an_operator_without_leader_election_has_no_permission_on_leases() -> None:
    def roles(enabled: bool) -> str:
        found = render({"azure": KEYS, "leaderElection": {"enabled": enabled}})
        return json.dumps([item for item in found if item["kind"] in ("Role", "RoleBinding")])

    assert "leases" in roles(True)
    assert "leases" not in roles(False)
    assert "leader-election" not in roles(False)


def test_a_namespace_that_drains_has_the_same_objects_as_one_with_a_queue_but_no_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: Object = {
        "azure": KEYS,
        "queues": [{"name": "trainings", "targetNamespace": "team-a"}],
        "drainNamespaces": ["old"],
    }
    manifests = render(values)
    objects: dict[str, list[str]] = {"team-a": [], "old": []}
    for item in manifests:
        objects.get(item["metadata"].get("namespace", ""), []).append(f"{item['kind']} {item['metadata']['name']}")
    assert objects["old"] == objects["team-a"] != []
    found = settings(manifests, tmp_path, monkeypatch)
    assert found.namespaces == ["old", "team-a", "train"]
    assert [queue.target_namespace for queue in found.queues] == ["team-a"]
    assert "kubectl get trainingjobs -n old" in notes(values)


def test_no_namespace_drains_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"azure": KEYS, "queues": TEAMS, "trainer": {"modelStore": {"secretName": "s"}}}
    assert settings(render(values), tmp_path, monkeypatch).drain_namespaces == []
    assert "No queue trains" not in notes(values)
