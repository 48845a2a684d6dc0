"""Settings from file and environment, and the errors in them."""

import ipaddress
import re
from pathlib import Path

import pytest

from vott_guard.rules import Rules
from vott_messaging.errors import SettingsError
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_messaging.settings.program import CONFIG_ENV
from vott_operator.objects import preflight
from vott_operator.settings.loading import load
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.settings.training_job import TrainingJobSettings

ROOT = Path(__file__).parents[3]
STORAGE = {"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_KEY": "a2V5"}
SERVICE_BUS = {
    "AZURE_SERVICE_BUS_NAMESPACE": "acme-bus",
    "AZURE_SERVICE_BUS_ACCESS_KEY_NAME": "train",
    "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE": "a2V5",
}
OTHER_VARIABLES = (
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_QUEUE_NAME",
    "AZURE_SERVICE_BUS_CONNECTION_STRING",
    "AZURE_SERVICE_BUS_QUEUE_NAME",
    "VOTT_TRAIN_PLUGIN",
    CONFIG_ENV,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_TRAINER__IMAGE", "trainer:1")
    for name in (*STORAGE, *SERVICE_BUS, *OTHER_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def in_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load()
    preflight.check(settings)
    return settings


def from_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    monkeypatch.setenv(CONFIG_ENV, str(file))
    settings = load()
    preflight.check(settings)
    return settings


@pytest.mark.parametrize(
    ("variables", "kind", "name"),
    [
        (STORAGE, "storage", "training"),
        (STORAGE | {"AZURE_STORAGE_QUEUE_NAME": "cats"}, "storage", "cats"),
        (SERVICE_BUS, "serviceBus", "training"),
        (SERVICE_BUS | {"AZURE_SERVICE_BUS_QUEUE_NAME": "Cats/1"}, "serviceBus", "Cats/1"),
        ({"AZURE_SERVICE_BUS_CONNECTION_STRING": "x"}, "serviceBus", "training"),
        (SERVICE_BUS | STORAGE, "storage", "training"),
    ],
    ids=["storage", "storage-name", "service-bus", "service-bus-name", "service-bus-connection-string", "both"],
)
def test_the_environment_of_the_first_vott_train_gives_one_queue(
    variables: dict[str, str], kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (queue,) = in_environment(monkeypatch, **variables).queues
    assert (queue.kind, queue.name, queue.credentials_dir) == (kind, name, None)


def test_vott_train_plugin_is_the_default_and_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = in_environment(monkeypatch, VOTT_TRAIN_PLUGIN="my-plugin").plugins
    assert plugins.default == "my-plugin"
    assert plugins.allowed == ["detection", "classification", "segmentation", "hello-world", "my-plugin"]


def test_an_invalid_queue_name_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AZURE_STORAGE_QUEUE_NAME 'My Cats' is not a valid storage queue name"):
        in_environment(monkeypatch, AZURE_STORAGE_QUEUE_NAME="My Cats")


def test_a_queue_may_override_namespace_and_plugins() -> None:
    plugins = {"default": "hello-world", "allowed": ["hello-world"]}
    settings = Settings.model_validate(
        {
            "namespace": "vott-train",
            "queues": [{"name": "cats"}, {"name": "dogs", "targetNamespace": "team-b", "plugins": plugins}],
        }
    )
    assert [settings.namespace_of(queue) for queue in settings.queues] == ["vott-train", "team-b"]
    assert [settings.plugins_of(queue).default for queue in settings.queues] == ["detection", "hello-world"]
    assert settings.namespaces == ["team-b", "vott-train"]


def test_a_queue_may_override_the_settings_of_trainingjobs() -> None:
    settings = Settings.model_validate(
        {
            "trainingJob": {"labels": {"team": "all"}, "backoffLimit": 1},
            "queues": [{"name": "cats"}, {"name": "dogs", "trainingJob": {"trainer": {"gpus": 4}}}],
        }
    )
    cats, dogs = (settings.trainingjob_settings_of(queue) for queue in settings.queues)
    assert (cats.labels, cats.to_spec()) == ({"team": "all"}, {"backoffLimit": 1})
    assert (dogs.labels, dogs.to_spec()) == ({}, {"trainer": {"gpus": 4}})


@pytest.mark.parametrize("key", ["team", "kueue.x-k8s.io/queue-name", "a", "A_b.c-D"])
@pytest.mark.parametrize("value", ["", "a", "GPU_1.x-y", "a" * 63])
def test_a_valid_label_is_accepted(key: str, value: str) -> None:
    assert TrainingJobSettings(labels={key: value}).labels == {key: value}


@pytest.mark.parametrize(
    "label", [{"-a": ""}, {"a/": ""}, {"/a": ""}, {"a/b/c": ""}, {"a" * 64: ""}, {"a": "b" * 64}, {"a": "-"}]
)
def test_an_invalid_label_is_an_error(label: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is not a valid label (key|value)"):
        TrainingJobSettings(labels=label)


def test_the_operators_own_namespace_is_always_watched() -> None:
    settings = Settings(namespace="vott-train", queues=[OperatorQueueSettings(target_namespace="team-b")])
    assert settings.namespaces == ["team-b", "vott-train"]


def test_queues_of_one_name_in_two_accounts_are_distinct() -> None:
    Settings(queues=[OperatorQueueSettings(account="acme"), OperatorQueueSettings(account="other")])


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_TRAINER__IMAGE", "env:1")
    settings = from_file("trainer: {image: 'file:1', sharedMemory: 1Gi}\nmaxUnfinishedJobs: 5\n", tmp_path, monkeypatch)
    assert (settings.trainer.image, settings.trainer.shared_memory, settings.max_unfinished_jobs) == ("env:1", "1Gi", 5)


def test_the_environment_overrides_the_file_value_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_MAX_UNFINISHED_JOBS", "7")
    monkeypatch.setenv("VOTT_TRAIN_OUTGOING__ALLOW_HTTP", "true")
    monkeypatch.setenv("VOTT_TRAIN_LEADER_ELECTION__ENABLED", "false")
    file = "{maxUnfinishedJobs: 9, outgoing: {allowHttp: false, hosts: [minio.store]}, leaderElection: {leaseDurationSeconds: 20}}"
    settings = from_file(file, tmp_path, monkeypatch)
    assert settings.max_unfinished_jobs == 7
    assert (settings.outgoing.allow_http, settings.outgoing.hosts) == (True, ["minio.store"])
    assert (settings.leader_election.enabled, settings.leader_election.lease_duration_seconds) == (False, 20)


def test_an_unknown_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_CALLBACKS__ALOW_HTTP", "true")
    with pytest.raises(SettingsError, match=r"callbacks\.alow_http"):
        from_file("{}", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainer: {imege: x}", "trainer.imege"),
        ("maxUnfinishedJobs: 0", "maxUnfinishedJobs"),
        ("ttlSecondsAfterFinished: -1", "ttlSecondsAfterFinished"),
        ("ttlSecondsAfterFinished: forever", "ttlSecondsAfterFinished is 'forever'; use a number of seconds, or never"),
        (
            "queues: [{duplicateWindowSeconds: 700000}]",
            "ttlSecondsAfterFinished is 604800, but queues[0].duplicateWindowSeconds is 700000; raise the TTL",
        ),
        ("leaderElection: {leaseDurationSeconds: 1}", "leaderElection.leaseDurationSeconds"),
        ("plugins: {default: x, allowed: [y]}", "plugins.default is 'x', which is not in .allowed ['y']; add it there"),
        ("maxUnfinishedJob: 5", "maxUnfinishedJob"),
        (
            "{ttlSecondsAfterFinished: 60, queues: [{duplicateWindowSeconds: 600}]}",
            "ttlSecondsAfterFinished is 60, but queues[0].duplicateWindowSeconds is 600",
        ),
        ("queues: [{maxUnfinishedJobs: 0}]", "queues[0].maxUnfinishedJobs"),
        ("maxWaitingForQuota: 0", "maxWaitingForQuota"),
        (
            "{maxUnfinishedJobs: 10, queues: [{name: cats, maxUnfinishedJobs: 9}, {name: dogs}, {name: mice}]}",
            "maxUnfinishedJobs is 10, but the queues need 11: the sum of queues[].maxUnfinishedJobs, and 1 for each queue without;"
            " raise maxUnfinishedJobs",
        ),
        (
            "queues: [{name: cats}, {name: dogs}, {name: cats}]",
            "queues[2] is the same queue as [0] (storage queue cats)",
        ),
        ("trainer: {stalledAfterSeconds: -1}", "trainer.stalledAfterSeconds"),
        (
            "trainer: {resources: {limit: {memory: 4Gi}, requests: {cpu: 1}}}",
            "trainer.resources.limit: unknown setting",
        ),
        ("trainer: {tolerateSpot: maybe}", "trainer.tolerateSpot"),
        (
            "trainer: {checkpoints: {url: 'https://a/c', persistentVolumeClaim: c}}",
            "trainer.checkpoints has both url and persistentVolumeClaim; remove one",
        ),
        (
            "trainer: {checkpoints: {url: 'https://a/c?sig=S'}}",
            "trainer.checkpoints.url has a query, but settings are not secret",
        ),
        (
            "trainer: {checkpoints: {url: 'https://a/c'}}",
            "trainer.checkpoints.url needs trainer.modelStore.secretName or",
        ),
        ("trainer: {checkpoints: {url: 's3://b:1/c'}}", "trainer.checkpoints.url is not a bucket URL"),
        ("trainer: {checkpoints: {everySeconds: 0}}", "trainer.checkpoints.everySeconds"),
        ("trainer: {checkpoints: {pvc: c}}", "trainer.checkpoints.pvc: unknown setting"),
        (
            "trainer: {imageCache: {hostPath: /a, persistentVolumeClaim: c}}",
            "trainer.imageCache has both persistentVolumeClaim and hostPath; remove one",
        ),
        ("trainer: {imageCache: {hostPath: a}}", "trainer.imageCache.hostPath 'a' must start with a slash"),
        ("trainer: {imageCache: {sizeLimit: 5 GB}}", "trainer.imageCache.sizeLimit '5 GB' is not a size; use a whole"),
        ("trainer: {workVolume: half}", "trainer.workVolume 'half' is not a size; use a whole"),
        ("trainer: {sharedMemory: half}", "trainer.sharedMemory 'half' is not a size; use a whole"),
        (
            "trainer: {plugins: {configMap: a, persistentVolumeClaim: c}}",
            "trainer.plugins has both configMap and persistentVolumeClaim; remove one",
        ),
        (
            "trainer: {modelStore: {containers: [models]}}",
            "trainer.modelStore.containers has 'models', which needs trainer.modelStore",
        ),
        (
            "trainer: {modelStore: {containers: ['https://a/c']}}",
            "trainer.modelStore.containers has URLs, which need trainer.workloadIdentity.clientId",
        ),
        (
            "trainer: {dataStore: {containers: [data]}}",
            "trainer.dataStore.containers has 'data', which needs trainer.modelStore.secretName",
        ),
        (
            "trainer: {dataStore: {containers: ['https://a/c']}}",
            "trainer.dataStore.containers has URLs, which need trainer.workloadIdentity.clientId",
        ),
        ("trainer: {dataStore: {buckets: ['s3://b']}}", "trainer.dataStore.buckets has 's3://b'; use BUCKET or"),
        (
            "trainer: {modelStore: {containers: ['https://a/c?sig=S']}}",
            "trainer.modelStore.containers has a URL with a query",
        ),
        (
            "trainer: {modelStore: {secretName: s, containers: ['a,b']}}",
            "trainer.modelStore.containers has 'a,b'; list",
        ),
        ("trainer: {modelStore: {buckets: ['s3://b']}}", "trainer.modelStore.buckets has 's3://b'; use BUCKET or"),
        ("trainingJob: {label: {}}", "trainingJob.label: unknown setting"),
        ("trainingJob: {trainer: {gpu: 2}}", "trainingJob.trainer.gpu: unknown setting"),
        ("trainingJob: {trainer: {nodes: 0}}", "trainingJob.trainer.nodes"),
        (
            "trainingJob: {trainer: {resources: {limit: {cpu: 1}}}}",
            "trainingJob.trainer.resources.limit: unknown setting",
        ),
        (
            "queues: [{trainingJob: {podTemplate: {metadata: {label: {a: b}}}}}]",
            "queues[0].trainingJob.podTemplate.metadata.label: unknown setting",
        ),
        ("trainingJob: {backoffLimit: -1}", "trainingJob.backoffLimit"),
        (
            "trainingJob: {labels: {My Team/a: b}}",
            "trainingJob.labels has the key 'My Team/a', which is not a valid label key",
        ),
        (
            "trainingJob: {labels: {team: my team}}",
            "trainingJob.labels has 'my team' for team, which is not a valid label value",
        ),
        (
            "trainingJob: {labels: {vott.dev/trainingjob: a}}",
            "trainingJob.labels has vott.dev/trainingjob, which the operator sets",
        ),
        (
            "trainingJob: {podTemplate: {spec: {restartPolicy: Always}}}",
            "trainingJob.podTemplate.spec.restartPolicy is set by the operator to 'Never'; leave it out.",
        ),
        (
            "queues: [{name: cats}, {name: dogs, trainingJob: {podTemplate: {spec: {containers: [{}]}}}}]",
            "queues[1].trainingJob.podTemplate.spec.containers[0] has no name",
        ),
        ("callbacks: {allowHttp: true}", "callbacks.allowHttp: unknown setting"),
        ("outgoing: {networks: [10.0.0.1/8]}", "outgoing.networks[0] '10.0.0.1/8' is not a network ("),
        ("outgoing: {networks: [minio.store]}", "outgoing.networks[0] 'minio.store' is not a network ("),
        (
            "outgoing: {hosts: ['http://minio']}",
            "outgoing.hosts[0] 'http://minio' is not a host name: use store.example.com",
        ),
        ("outgoing: {hosts: ['minio:9000']}", "outgoing.hosts[0] 'minio:9000' is not a host name"),
        (
            "outgoing: {hosts: ['10.0.0.1']}",
            "outgoing.hosts[0] '10.0.0.1' is not a host name: use store.example.com or",
        ),
        ("outgoing: {hosts: ['0x0a.1']}", "outgoing.hosts[0] '0x0a.1' is not a host name"),
        ("outgoing: {hosts: ['*']}", "outgoing.hosts[0] '*' is not a host name"),
        ("outgoing: {hosts: ['a,b']}", "outgoing.hosts[0] 'a,b' is not a host name"),
        ("outgoing: {host: [minio]}", "outgoing.host: unknown setting"),
        ("a: b: c", "can't be read"),
        ("[1, 2]", "can't be read"),
    ],
)
def test_an_invalid_setting_is_named(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"settings\.yaml") as caught:
        from_file(text, tmp_path, monkeypatch)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("kind: kafka", "queues[1].kind"),
        ("nane: cats", "queues[1].nane"),
        ("name: My_Cats", "queues[1].name 'My_Cats' is not a valid storage queue name: use 3 to 56 lower-case"),
        ("name: ab", "queues[1].name 'ab' is not a valid"),
        ("name: cats--1", "queues[1].name 'cats--1' is not a valid"),
        (f"name: {'a' * 57}", "queues[1].name"),
        ("kind: serviceBus, name: cats$", "queues[1].name 'cats$' is not a valid Service Bus queue name"),
        ("kind: serviceBus, account: acme", "queues[1].account is only for storage queues; use serviceBusNamespace"),
        ("serviceBusNamespace: acme-bus", "queues[1].serviceBusNamespace is only for Service Bus queues; use account"),
        ("account: Acme_1", "queues[1].account 'Acme_1' is neither a storage account name"),
        (
            "account: 'https://acme.queue.core.windows.net?sig=SECRET'",
            "queues[1].account has a query; put the SAS into the Secret",
        ),
        (
            "kind: serviceBus, serviceBusNamespace: 'sb://acme-bus/'",
            "queues[1].serviceBusNamespace 'sb://acme-bus/' is not a Service Bus",
        ),
        ("targetNamespace: Team_B", "queues[1].targetNamespace 'Team_B' is not a valid namespace"),
        ("plugins: {default: x, allowed: [y]}", "queues[1].plugins.default is 'x', which is not in .allowed"),
        ("duplicateWindowSeconds: -1", "queues[1].duplicateWindowSeconds"),
        (
            "parameters: {augment: {set: 'https://h/x?sig=SECRET'}}",
            'queues[1].parameters has at "augment.set" a URL with a query',
        ),
        ("parameters: {initialWeights: 'ftp://h/x'}", 'queues[1].parameters has an "initialWeights" that is not'),
        ("model: 'https://h/{project}'", "queues[1].model has the unknown placeholder {project}; the"),
        ("model: 'https://h/{}'", "queues[1].model has the unknown placeholder {}"),
        ("model: 'https://h/{projectId!r}'", "queues[1].model has the unknown placeholder {projectId!r}"),
        ("model: 'https://h/{{projectId}}'", "queues[1].model has double braces"),
        ("model: 'https://h/{projectId'", "queues[1].model has an unmatched brace"),
        ("model: models", "queues[1].model is not an http(s) or s3 URL"),
        ("callback: 's3://bucket/{requestId}'", "queues[1].callback is not an http(s) URL but s3:"),
        ("model: 'https://{projectId}.acme.net/x'", "queues[1].model has a placeholder in the host"),
        ("callback: 'ftp://h/{requestId}'", "queues[1].callback is not an http(s) URL but ftp:"),
    ],
)
def test_an_invalid_queue_is_an_error(
    queue: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError) as caught:
        from_file(f"queues: [{{name: first}}, {{{queue}}}]", tmp_path, monkeypatch)
    assert expected in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "queue",
    [
        {"name": "a1-b2"},
        {"account": "http://127.0.0.1:10001/devstoreaccount1"},
        {"account": "https://acme.queue.core.chinacloudapi.cn"},
        {"kind": "serviceBus", "name": "Team.A/cats_1", "serviceBusNamespace": "acme-bus"},
        {"kind": "serviceBus", "serviceBusNamespace": "acme-bus.servicebus.chinacloudapi.cn"},
        {"model": "https://acme.blob.core.windows.net/models/{projectId}/{requestId}.tgz"},
        {"callback": "https://vott.example/api/{projectId}/status?request={requestId}"},
        {"model": "https://acme.blob.core.windows.net/models"},
        {"model": "s3://models/{projectId}/{requestId}.tgz"},
    ],
)
def test_a_valid_queue_is_accepted(queue: dict[str, str]) -> None:
    OperatorQueueSettings.model_validate(queue)


def test_the_defaults_allow_the_least() -> None:
    settings = Settings()
    assert settings.outgoing.rules == Rules()
    assert str(settings.outgoing) == "https only, to public addresses"
    assert not settings.callbacks.signed


def test_the_rules_are_logged_in_one_line() -> None:
    values = {"allowHttp": True, "publicAddresses": False, "hosts": ["*.acme.net"], "networks": ["10.1.2.0/24"]}
    outgoing = OutgoingSettings.model_validate(values)
    assert str(outgoing) == "http and https, to *.acme.net, 10.1.2.0/24"
    assert outgoing.rules == Rules(True, False, ("*.acme.net",), (ipaddress.ip_network("10.1.2.0/24"),))


EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/administration.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", [text for text in EXAMPLES if re.match(r"(trainingJob|trainer):", text)])
def test_a_documented_example_is_accepted(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_file(text, tmp_path, monkeypatch).training_job is not None


def test_there_are_documented_examples() -> None:
    assert len([text for text in EXAMPLES if text.startswith("trainingJob:")]) > 2


def test_trainingjobs_may_be_deleted_at_the_end_of_the_duplicate_window() -> None:
    Settings(queues=[OperatorQueueSettings(duplicate_window_seconds=600)], ttl_seconds_after_finished=600)


def test_a_missing_trainer_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOTT_TRAIN_TRAINER__IMAGE")
    with pytest.raises(SettingsError, match=r"trainer\.image is not set"):
        preflight.check(load())
    assert load().queues


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_ENV, "/nowhere/settings.yaml")
    with pytest.raises(SettingsError, match=r"/nowhere/settings\.yaml"):
        load()


def test_credentials_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "U0VDUkVU" not in repr(in_environment(monkeypatch, **STORAGE | {"AZURE_STORAGE_KEY": "U0VDUkVU"}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("{}", 604_800),
        ("ttlSecondsAfterFinished: null", 604_800),
        ("ttlSecondsAfterFinished: never", None),
        ("ttlSecondsAfterFinished: 0", 0),
        ("ttlSecondsAfterFinished: '3600'", 3600),
    ],
)
def test_trainingjobs_of_messages_are_deleted_after_a_week_unless_set_otherwise(
    text: str, seconds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert from_file(text, tmp_path, monkeypatch).ttl_seconds_after_finished == seconds


@pytest.mark.parametrize(
    ("total", "own", "unfinished"),
    [
        (1000, [None], [1000]),
        (1000, [None, None, None], [333, 333, 333]),
        (1000, [700, None, None], [700, 150, 150]),
        (1000, [400, 600], [400, 600]),
        (2, [None, None, None], [1, 1, 1]),
    ],
)
def test_queues_share_the_total_evenly_except_those_with_a_limit_of_their_own(
    total: int, own: list[int | None], unfinished: list[int]
) -> None:
    queues = [
        OperatorQueueSettings(name=f"queue-{number}", max_unfinished_jobs=limit) for number, limit in enumerate(own)
    ]
    settings = Settings(queues=queues, max_unfinished_jobs=total)
    assert [settings.limits_of(queue).unfinished for queue in queues] == unfinished


def test_queues_share_the_trainingjobs_that_wait_for_quota_evenly() -> None:
    queues = [OperatorQueueSettings(name="cats", max_unfinished_jobs=400), OperatorQueueSettings(name="dogs")]
    settings = Settings(queues=queues, max_waiting_for_quota=100)
    assert [settings.limits_of(queue).waiting_for_quota for queue in queues] == [50, 50]
