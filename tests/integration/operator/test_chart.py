"""What Helm makes of the chart's values."""

import json
from pathlib import Path

import pytest

from tests.support.helm import KEYS, Object, lint, one, rendered
from vott_operator.api.status import TrainingJobStatus
from vott_operator.objects import preflight
from vott_operator.settings.loading import load
from vott_operator.settings.operator import CONFIG_ENV, Settings

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
    spec: Object = one("Deployment", manifests)["spec"]["template"]["spec"]
    return spec


def settings(manifests: list[Object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(one("ConfigMap", manifests)["data"]["settings.yaml"])
    monkeypatch.setenv(CONFIG_ENV, str(file))
    found = load()
    preflight.check(found)
    return found


def test_the_operator_understands_the_settings_that_the_chart_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"azure": {"existingSecret": "ours"}, "queues": TEAMS, "ttlSecondsAfterFinished": 3600}
    found = settings(rendered(values), tmp_path, monkeypatch)
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


def test_what_trainingjobs_of_messages_get_reaches_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "azure": KEYS,
        "queues": TEAMS,
        "trainer": {"tolerateSpot": False, "stalledAfterSeconds": 0},
        "trainingJob": {"labels": {"kueue.x-k8s.io/queue-name": "gpu"}, "podTemplate": CACHE, "backoffLimit": 0},
    }
    found = settings(rendered(values), tmp_path, monkeypatch)
    cats, dogs = (found.trainingjob_settings_of(queue) for queue in found.queues)
    assert (found.trainer.tolerate_spot, found.trainer.stalled_after_seconds) == (False, 0)
    assert cats.labels == {"kueue.x-k8s.io/queue-name": "gpu"}
    assert cats.to_spec() == {"podTemplate": CACHE, "backoffLimit": 0}
    assert (dogs.labels, dogs.to_spec()) == ({}, {"trainer": {"gpus": 4}, "activeDeadlineSeconds": 10_000_000})


STORES: list[tuple[Object, str]] = [
    ({}, ""),
    ({"modelStore": {"containers": ["models"]}}, "vott-azure"),
    ({"modelStore": {"containers": ["*"], "secretName": "mine"}}, "mine"),
    ({"modelStore": {"buckets": ["models"], "secretName": "mine"}}, "mine"),
    ({"checkpoints": {"url": "https://acme.blob.core.windows.net/checkpoints"}}, "vott-azure"),
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
def test_the_trainings_own_stores_are_opened_by_the_secret_that_they_need(
    trainer: Object, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(rendered({"azure": KEYS, "trainer": trainer}), tmp_path, monkeypatch).trainer
    assert found.model_store.secret_name == secret


def test_the_trainings_places_reach_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = {
        "checkpoints": {"persistentVolumeClaim": "checkpoints", "everySeconds": 10_000_000},
        "imageCache": {"hostPath": "/var/images", "sizeLimit": "1Ti"},
        "plugins": {"configMap": "our-plugins"},
    }
    found = settings(rendered({"azure": KEYS, "trainer": trainer}), tmp_path, monkeypatch).trainer
    assert (found.checkpoints.persistent_volume_claim, found.checkpoints.every_seconds) == ("checkpoints", 10_000_000)
    assert (found.image_cache.host_path, found.image_cache.size_bytes) == ("/var/images", 2**40)
    assert found.plugins.config_map == "our-plugins"


def test_the_trainings_account_stands_for_their_identity_in_every_namespace() -> None:
    identity = {"workloadIdentity": {"clientId": "abc"}}
    manifests = rendered({"azure": KEYS, "queues": TEAMS, "trainer": identity | {"modelStore": {"secretName": "s"}}})
    accounts = [item["metadata"] for item in manifests if item["kind"] == "ServiceAccount"]
    trainers = {meta["namespace"]: meta.get("annotations") for meta in accounts if meta["name"] == "vott-trainer"}
    annotation = {"azure.workload.identity/client-id": "abc"}
    assert trainers == {"team-a": annotation, "team-b": annotation, "train": annotation}
    assert [meta.get("annotations") for meta in accounts if meta["name"] == "vott"] == [None]


def test_the_policy_holds_the_trainer_off_every_field_of_the_status_that_is_not_its_own() -> None:
    policy = json.dumps(one("ValidatingAdmissionPolicy", rendered({"azure": KEYS})))
    trainers = {"progress", "metrics", "model", "checkpoint"}
    for field in TrainingJobStatus.model_fields.values():
        assert (f"object.?status.?{field.alias} ==" in policy) == (field.alias not in trainers), field.alias


def test_by_default_trainingjobs_of_messages_get_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(rendered({"azure": KEYS}), tmp_path, monkeypatch)
    assert (found.training_job.labels, found.training_job.to_spec()) == ({}, {})


def test_a_ttl_of_zero_is_not_taken_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"azure": {"existingSecret": "ours"}, "ttlSecondsAfterFinished": 0}
    assert settings(rendered(values), tmp_path, monkeypatch).ttl_seconds_after_finished == 0


def test_every_secret_is_mounted_once_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queues = [*TEAMS, {"name": "birds"}]
    manifests = rendered({"azure": {"existingSecret": "ours"}, "queues": queues})
    spec = operator_pod(manifests)
    volumes = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in spec["containers"][0]["volumeMounts"]}
    assert sorted(secret for secret in volumes.values() if secret) == ["of-team-a", "ours"]
    for queue in settings(manifests, tmp_path, monkeypatch).queues:
        assert queue.credentials_dir is not None
        assert mounts[str(queue.credentials_dir)] == queue.credentials_dir.name


def test_no_credential_stands_outside_the_secret() -> None:
    manifests = rendered({"azure": {"connectionString": "TOPSECRET", "serviceBusConnectionString": "TOPSECRET"}})
    assert [item["kind"] for item in manifests if "TOPSECRET" in json.dumps(item)] == ["Secret"]


def test_other_credentials_need_no_new_pod_and_other_settings_do() -> None:
    first, second, third = (
        one("Deployment", rendered(values))["spec"]["template"]
        for values in (
            {"azure": {"connectionString": "one"}},
            {"azure": {"connectionString": "two"}},
            {"azure": {"connectionString": "two"}, "logLevel": "DEBUG"},
        )
    )
    assert first == second
    assert second != third


def test_another_identity_needs_a_new_pod_as_a_pod_gets_its_identity_when_it_is_made() -> None:
    first, second = (
        one("Deployment", rendered({"azure": KEYS | {"workloadIdentity": {"clientId": client_id}}}))["spec"]["template"]
        for client_id in ("abc", "def")
    )
    assert first["metadata"]["annotations"].keys() == second["metadata"]["annotations"].keys()
    assert first != second


def test_two_replicas_are_kept_apart_and_replaced_one_at_a_time() -> None:
    manifests = rendered({"azure": KEYS, "replicas": 2})
    deployment = one("Deployment", manifests)["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "RollingUpdate")
    assert operator_pod(manifests)["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    budget = one("PodDisruptionBudget", manifests)["spec"]
    assert (budget["maxUnavailable"], budget["selector"]) == (1, deployment["selector"])
    assert "PodDisruptionBudget" not in {item["kind"] for item in rendered({"azure": KEYS})}


def test_a_workload_identity_needs_no_secret() -> None:
    manifests = rendered(
        {
            "azure": {"workloadIdentity": {"clientId": "abc"}},
            "queues": [
                {"name": "cats", "account": "acme"},
                {"kind": "serviceBus", "name": "dogs", "serviceBusNamespace": "acme-bus"},
            ],
        }
    )
    assert "Secret" not in {item["kind"] for item in manifests}
    assert "credentialsDir" not in one("ConfigMap", manifests)["data"]["settings.yaml"]


@pytest.mark.parametrize(
    "values", [{}, {"azure": KEYS}, {"azure": KEYS, "queues": TEAMS}], ids=["defaults", "keys", "teams"]
)
def test_the_chart_can_be_linted_without_a_cluster(values: Object) -> None:
    result = lint(values)
    assert result.returncode == 0, result.stdout


def test_an_operator_that_takes_part_in_no_election_has_no_right_to_leases() -> None:
    def roles(enabled: bool) -> str:
        found = rendered({"azure": KEYS, "leaderElection": {"enabled": enabled}})
        return json.dumps([item for item in found if item["kind"] in ("Role", "RoleBinding")])

    assert "leases" in roles(True)
    assert "leases" not in roles(False)
    assert "leader-election" not in roles(False)
