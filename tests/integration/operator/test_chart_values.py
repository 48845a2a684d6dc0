"""Invalid values: Helm refuses them with the path and the remedy, before anything in the cluster changes.

Types, ranges, choices and names are the schema's; `_checks.tpl` has the sentences. The operator's settings decide what is invalid.
"""

import copy
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from tests.support.helm import CHART, KEYS, Object, manifest_of_kind, render, template
from vott_operator.settings import chart_values
from vott_operator.settings.operator import Settings

SCHEMA = json.loads((Path(CHART) / "values.schema.json").read_text())
DEFAULTS: Object = yaml.safe_load((Path(CHART) / "values.yaml").read_text())
SECTIONS = [
    "image", "azure", "azure.workloadIdentity", "trainer", "trainer.modelStore", "trainer.dataStore", "trainer.workloadIdentity",
    "trainer.checkpoints", "trainer.imageCache", "trainer.plugins", "trainingJob", "plugins", "outgoing", "callbacks",
    "callbacks.signing", "networkPolicy", "leaderElection", "tracing", "monitoring", "monitoring.podMonitor",
    "monitoring.prometheusRule", "monitoring.dashboard",
]  # fmt: skip


def at(path: str, value: Any) -> Object:
    """Values that differ from the default at one path, such as queues[0].name."""
    for name in reversed(path.split(".")):
        key, is_list, _ = name.partition("[")
        value = {key: [value] if is_list else value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "queues[0]: has no credentials; set azure.existingSecret, azure.connectionString or azure.workloadIdentity"),
        ({"azure": KEYS | {"existingSecret": "ours"}}, "azure: set either existingSecret or connection strings, not both"),
        ({"azure": KEYS, "monitoring": {"podMonitor": {"enabled": True}}}, "monitoring.scraper: is required with monitoring.podMonitor.enabled"),
        ({"azure": KEYS, "queues": []}, "queues: must have at least one queue"),
        ({"azure": KEYS, "queues": [{"kind": "serviceBus", "account": "x"}]}, "queues[0].account: is for storage queues"),
        ({"azure": KEYS, "queues": [{"serviceBusNamespace": "x"}]}, "queues[0].serviceBusNamespace: is for Service Bus"),
        ({"azure": {"connectionString": "x"}, "queues": [{"kind": "serviceBus"}]}, "set azure.serviceBusConnectionString too"),
        ({"azure": {"serviceBusConnectionString": "x"}}, "set azure.connectionString too"),
        ({"azure": {"workloadIdentity": {"clientId": "x"}}}, "queues[0].account: is required with a workload identity"),
        (
            {"azure": {"workloadIdentity": {"clientId": "x"}}, "queues": [{"kind": "serviceBus"}]},
            "queues[0].serviceBusNamespace: is required with a workload identity",
        ),
        ({"azure": KEYS, "replicas": 0}, "replicas: must be 1, or 2 with a standby"),
        ({"azure": KEYS, "replicas": 2, "leaderElection": {"enabled": False}}, "replicas: more than one requires leaderElection"),
        *(
            ({"azure": azure, "queues": [{"account": "acme"}], "trainer": trainer}, f"{place} no credentials; set trainer.modelStore.secretName")
            for azure in (KEYS, {"existingSecret": "ours"}, {"workloadIdentity": {"clientId": "x"}})
            for trainer, place in (
                ({"modelStore": {"containers": ["models"]}}, "trainer.modelStore.containers: models has"),
                ({"dataStore": {"containers": ["*"]}}, "trainer.dataStore.containers: * has"),
                ({"modelStore": {"buckets": ["models"]}}, "trainer.modelStore.buckets: have"),
                ({"dataStore": {"buckets": ["models"]}}, "trainer.dataStore.buckets: have"),
                ({"checkpoints": {"url": "https://a/c"}}, "trainer.checkpoints.url: has"),
                ({"checkpoints": {"url": "s3://bucket/c"}}, "trainer.checkpoints.url: has"),
            )
        ),
        (
            {"azure": KEYS, "trainer": {"modelStore": {"containers": ["https://a/c"]}}},
            "trainer.modelStore.containers: https://a/c needs trainer.workloadIdentity.clientId; a container of the",
        ),
        (
            {"azure": KEYS, "trainer": {"dataStore": {"containers": ["https://a/c"]}}},
            "trainer.dataStore.containers: https://a/c needs trainer.workloadIdentity.clientId; a container of the",
        ),
        (
            {"azure": KEYS, "trainer": {"checkpoints": {"url": "https://a/c", "persistentVolumeClaim": "c"}}},
            "trainer.checkpoints: set either url or persistentVolumeClaim, not both",
        ),
        ({"azure": KEYS, "trainer": {"checkpoints": {"url": "https://a/c?sig=S"}}}, "trainer.checkpoints.url: has a query"),
        (
            {"azure": KEYS, "trainer": {"imageCache": {"hostPath": "/a", "persistentVolumeClaim": "c"}}},
            "trainer.imageCache: set either hostPath or persistentVolumeClaim, not both",
        ),
        (
            {"azure": KEYS, "trainer": {"plugins": {"configMap": "a", "persistentVolumeClaim": "c"}}},
            "trainer.plugins: set either configMap or persistentVolumeClaim, not both",
        ),
        *(
            (
                {"azure": KEYS} | at(section, None) if "azure" not in section else at(section, None),
                f"{section}: is missing; omit it for the default, and upgrade with --reset-then-reuse-values",
            )
            for section in SECTIONS
        ),
        ({"azure": KEYS, "ttlSecondsAfterFinished": 59, "queues": [{"duplicateWindowSeconds": 60}]}, "is less than queues[0].duplicateWindowS"),
        ({"azure": KEYS, "ttlSecondsAfterFinished": None, "queues": [{"duplicateWindowSeconds": 604_801}]}, "is less than queues[0].duplicateW"),
        (
            {"azure": KEYS, "maxUnfinishedJobs": 9, "queues": [{"maxUnfinishedJobs": 9}, {"name": "dogs"}]},
            "maxUnfinishedJobs: is 9, but the queues need 10: the sum of queues[].maxUnfinishedJobs, and 1 for each queue without; raise it",
        ),
        *(
            ({"azure": KEYS, "trainer": {name: "10.5Gi"}}, f"trainer.{name}: 10.5Gi is not a size; use a whole number with Mi, Gi or Ti")
            for name in ("sharedMemory", "workVolume", "workRequest")
        ),
        ({"azure": KEYS, "queues": [{"name": "cats"}, {"name": "cats"}]}, "queues[1]: is the same queue as queues[0]; remove one"),
        ({"azure": KEYS, "trainer": {"image": ""}}, "trainer.image: is required"),
        ({"azure": KEYS, "plugins": {"default": "mine"}}, "plugins.default: mine is not in plugins.allowed; add it there"),
        ({"azure": KEYS, "queues": [{"name": "Cats"}]}, "queues[0].name: Cats is not a valid storage queue name: use 3 to 56"),
        ({"azure": KEYS, "outgoing": {"networks": ["10.1.2.3/24"]}}, "10.1.2.3/24 has bits set after its prefix"),
        ({"azure": KEYS, "outgoing": {"networks": ["minio"]}}, "outgoing.networks: minio is not a network, such as 10.1.2.0/24"),
        ({"azure": KEYS, "networkPolicy": {"apiServer": ["10.0.0.1:6443"]}}, "networkPolicy.apiServer: 10.0.0.1:6443 is not a network"),
        *(
            ({"azure": KEYS, "outgoing": {"networks": [network]}}, "is never allowed: it is in")
            for network in ("169.254.0.0/16", "169.254.169.254", "168.63.129.16", "fd00:ec2::254", "fe80::/64", "FD00:42::42")
        ),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected_with_a_sentence(values: Object, error: str) -> None:
    result = template(values)
    assert result.returncode != 0
    assert error in result.stderr


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("logLevel", "debug", "at '/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("maxUnfinishedJobs", 0, "at '/maxUnfinishedJobs': minimum: got 0, want 1"),
        ("ttlSecondsAfterFinished", -1, "at '/ttlSecondsAfterFinished': minimum: got -1, want 0"),
        ("leaderElection.leaseDurationSeconds", 61, "at '/leaderElection/leaseDurationSeconds': maximum: got 61, want 60"),
        ("callbacks.timeoutSeconds", 0, "at '/callbacks/timeoutSeconds': exclusiveMinimum: got 0, want 0"),
        ("trainingJob.trainer.gpus", 65, "at '/trainingJob/trainer/gpus': maximum: got 65, want 64"),
        ("trainer.imagePullPolicy", "always", "at '/trainer/imagePullPolicy': value must be one of 'Always'"),
        ("queues", {"name": "cats"}, "at '/queues': got object, want array"),
        ("queues[]", "cats", "at '/queues/0': got string, want object"),
        ("queues[].nane", "cats", "at '/queues/0': additional properties 'nane' not allowed"),
        ("queues[].kind", "kafka", "at '/queues/0/kind': value must be one of 'storage', 'serviceBus'"),
        ("queues[].trainingJob.podtemplate", {}, "at '/queues/0/trainingJob': additional properties 'podtemplate' not allowed"),
        ("queues[].targetNamespace", False, "at '/queues/0/targetNamespace': got boolean, want string"),
        ("callbacks.allowHttp", True, "at '/callbacks': additional properties 'allowHttp' not allowed"),
        ("callbacks.signing.secret", "keys", "at '/callbacks/signing': additional properties 'secret' not allowed"),
        ("outgoing.hosts", "minio", "at '/outgoing/hosts': got string, want array"),
        ("networkPolicy", False, "at '/networkPolicy': got boolean, want object"),
        ("networkPolicy.apiServerPorts[]", "https", "at '/networkPolicy/apiServerPorts/0': got string, want integer"),
        ("networkPolicy.apiServerPorts[]", 65536, "at '/networkPolicy/apiServerPorts/0': maximum: got 65,536, want 65,535"),
        ("image.tag", 1.1, "at '/image/tag': got number, want string"),
        ("nodeSelector", {"gpu": True}, "at '/nodeSelector/gpu': got boolean, want string"),
        ("networkpolicy", {}, "at '': additional properties 'networkpolicy' not allowed"),
    ],
)  # fmt: skip
def test_types_ranges_choices_and_names_are_the_schemas(path: str, value: Any, error: str) -> None:
    result = template({"azure": KEYS} | at(path, value))
    assert result.returncode != 0
    assert error in result.stderr


def test_every_default_value_is_in_the_schema() -> None:
    known, found = set(_paths(SCHEMA)), set(_keys(DEFAULTS))
    assert found <= known, (
        f"values.yaml has {sorted(found - known)}, which values.schema.json lacks. Add a setting of the operator to its model in settings/,"
        " a value of the chart alone to ChartValues (settings/chart_values.py) and to the list in vott-train.settings (_helpers.tpl);"
        " then run `make generate`"
    )
    documented = {
        path
        for path in known
        if not path.startswith(
            ("queues[]", "imagePullSecrets[]", "trainingJob.trainer.", "trainingJob.podTemplate.", "global")
        )
    }
    assert documented <= found, (
        f"values.yaml lacks {sorted(documented - found)} of the settings. Add them; if the chart sets them itself, list them in"
        " SET_BY_THE_CHART (settings/chart_values.py)"
    )


def _paths(schema: Object, place: str = "") -> Iterator[str]:
    """The paths of all values that have a name."""
    for name, item in schema.get("properties", {}).items():
        path = f"{place}{name}"
        yield path
        yield from _paths(item, f"{path}.")
        yield from _paths(item.get("items", {}), f"{path}[].")


def _keys(values: Object, place: str = "") -> Iterator[str]:
    for name, value in values.items():
        path = f"{place}{name}"
        yield path
        if path in ("queues", "trainer.resources", "resources"):
            yield from (known for known in _paths(SCHEMA) if known.startswith((f"{path}.", f"{path}[]")))
        elif isinstance(value, dict) and path != "monitoring.dashboard.labels":  # whose names are free
            yield from _keys(value, f"{path}.")


# ------------------------------------------------------------------------------------------- what the operator refuses

ODD_STRINGS = [
    *(
        "",
        "x",
        "no",
        "1e3",
        "Upper",
        "a b",
        "-a",
        "a,b",
        "*",
        "2Gi",
        "1.5Gi",
        "/folder",
        "host.example.com",
        "127.1",
        "a" * 64,
    ),
    *(
        "https://host/path",
        "https://host/path?sig=SECRET",
        "https://user:SECRET@host/",
        "https://host:99999/",
        "ftp://host/",
        "https://",
    ),
    *(
        "https://host/{projectId}",
        "https://host/{x}",
        "s3://bucket/x",
        "10.0.0.0/8",
        "10.1.2.3/8",
        "169.254.1.1",
        "256.1.1.1/8",
        "::1::/8",
    ),
]
ODD_LABELS = ["", "no", "1e3", "Upper", "a b", "-a", "a/b", "a/b/c", "a" * 64, "https://host/path?sig=SECRET"]
ODD_PARAMETERS: list[Object] = [
    *({"imagesUrl": text} for text in ("https://host/a?b", "images", ".", "a:b")),
    *({"initialWeights": text} for text in ("baked", "a b", "https://host/w?sig=SECRET", "ftp://host/w")),
    *({"data": data} for data in (["https://host/a?sig=SECRET"], {"x": "https://u:SECRET@host/a"}, "b?c")),
]
REFUSED_PER_PATH = 8
LABELS: Object = {"app.kubernetes.io/managed-by": "me"}
FREE = (
    "global",
    "image",
    "imagePullSecrets",
    "azure",
    "networkPolicy",
    "affinity",
    "nodeSelector",
    "resources",
    "tolerations",
    "replicas",
)
"""Values that are not the operator's."""


def _odd_values(schema: Object, place: str = "") -> Iterator[tuple[str, Any]]:
    """Paths of the operator's settings, each with odd values of its type."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if place.startswith(FREE):
        return
    if "string" in types and "enum" not in schema:
        yield from ((place, text) for text in ODD_STRINGS)
    for name, item in schema.get("properties", {}).items():
        yield from _odd_values(item, f"{place}.{name}".removeprefix("."))
    if "items" in schema:
        yield from _odd_values(schema["items"], f"{place}[]")
    if place.endswith(".labels"):
        yield from ((place, labels) for text in ODD_LABELS for labels in ({text: "x"}, {"x": text}))
        yield place, LABELS
    if place.endswith(".parameters"):
        yield from ((place, parameters) for parameters in ODD_PARAMETERS)


CREDENTIALS = {
    "azure": KEYS,
    "trainer": {"modelStore": {"secretName": "ours"}, "workloadIdentity": {"clientId": "ours"}},
}


def _merged(*layers: Object) -> Object:
    """The layers as Helm merges values."""
    result: Object = {}
    for layer in layers:
        for name, value in copy.deepcopy(layer).items():
            known = result.get(name)
            result[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def _settings(values: Object) -> Settings | None:
    """The operator's settings for these values; None if it would refuse to start."""
    merged = _merged(DEFAULTS, values)
    own = {field.alias or name for name, field in chart_values.ChartValues.model_fields.items()}
    settings = {name: value for name, value in merged.items() if name not in own}
    settings["callbacks"].pop("signing")
    settings["queues"] = [
        {name: value for name, value in queue.items() if name != "secretName"} for queue in settings["queues"]
    ]
    try:
        loaded = Settings.model_validate(settings)
    except ValidationError:
        return None
    return loaded if loaded.trainer.image else None


def _is_valid(values: Object) -> bool:
    return bool(jsonschema.Draft7Validator(SCHEMA).is_valid(_merged(DEFAULTS, values)))


def _odd() -> list[tuple[str, Object]]:
    """Values that the schema accepts."""
    odd = [(path, _merged(CREDENTIALS, at(path, value))) for path, value in _odd_values(SCHEMA)]
    return [(path, values) for path, values in odd if _is_valid(values)]


def _refused() -> Iterator[tuple[str, Object]]:
    """Some values for each path that the operator refuses, with the path as Helm names it."""
    by_path: dict[str, list[Object]] = {}
    for path, values in _odd():
        if _settings(values) is None:
            by_path.setdefault(path, []).append(values)
    for path, refused in by_path.items():
        name = path.replace("[]", "[0]") if path.startswith("queues[]") else path
        name = name.replace(".allowed[0]", "").removesuffix(".allowed[]").removesuffix("[]")
        sample = random.Random(path).sample(refused, min(len(refused), REFUSED_PER_PATH))
        yield from ((name, values) for values in sample)


def test_helm_refuses_what_the_operator_refuses() -> None:
    refused = list(_refused())
    assert len({name for name, _ in refused}) > 20
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda item: template(item[1]), refused))
    for (name, values), result in zip(refused, results, strict=True):
        assert result.returncode != 0, f"Helm accepts {values}, which the operator refuses"
        assert name in result.stderr, (values, result.stderr)
        assert "SECRET" not in result.stderr


def test_the_operator_loads_what_helm_accepts() -> None:
    accepted = [(path, values) for path, values in _odd() if _settings(values) is not None]
    for values in _combined(accepted):
        rendered = manifest_of_kind("ConfigMap", render(values))["data"]["settings.yaml"]
        expected = _settings(values)
        assert expected is not None
        loaded = Settings.model_validate(yaml.safe_load(rendered))
        assert loaded.model_dump(exclude=SET_BY_THE_CHART) == expected.model_dump(exclude=SET_BY_THE_CHART)


SET_BY_THE_CHART: Any = {
    "namespace": True,
    "role_binding": True,
    "queues": {"__all__": {"credentials_dir"}},
    "callbacks": {"signing_dir"},
    "trainer": {"service_account_name"},
    "leader_election": {"lease_name"},
}


def _combined(accepted: list[tuple[str, Object]]) -> list[Object]:
    """Few values that have all of these: one odd value for each path, as long as the settings accept them together."""
    remaining, result = accepted, list[Object]()
    while remaining:
        values: Object = CREDENTIALS
        used, later = set[str](), list[tuple[str, Object]]()
        for path, odd in remaining:
            together = _merged(values, odd)
            if "queues" in values and "queues" in odd:
                queues: Any = (values["queues"], odd["queues"])
                together["queues"] = [_merged(queues[0][0], queues[1][0])]
            if path in used or _settings(together) is None:
                later.append((path, odd))
            else:
                values = together
                used.add(path)
        assert used, remaining
        result.append(values)
        remaining = later
    return result
