"""Invalid values that the chart rejects."""

from typing import Any

import pytest

from tests.support.helm import KEYS, Object, template

SECTIONS: dict[str, Object] = {
    "image": {"image": None},
    "azure": {"azure": "x"},
    "azure.workloadIdentity": {"azure": KEYS | {"workloadIdentity": None}},
    "trainer": {"trainer": None},
    "trainingJob": {"trainingJob": None},
    "plugins": {"plugins": None},
    "outgoing": {"outgoing": None},
    "callbacks": {"callbacks": None},
    "callbacks.signing": {"callbacks": {"signing": None}},
    "networkPolicy": {"networkPolicy": False},
    "leaderElection": {"leaderElection": None},
    "monitoring": {"monitoring": None},
    "monitoring.podMonitor": {"monitoring": {"podMonitor": True}},
}
LISTS: list[tuple[str, str, Any]] = [
    ("outgoing", "hosts", "minio"),
    ("outgoing", "networks", None),
    ("networkPolicy", "apiServer", "10.0.0.1"),
    ("networkPolicy", "apiServerPorts", 6443),
    ("networkPolicy", "trainerPorts", "443"),
    ("networkPolicy", "operatorEgress", {}),
    ("networkPolicy", "trainerEgress", "all"),
    ("monitoring", "scraper", {}),
]
NOT_MAPS: list[tuple[Object, str]] = [
    ({"azure": KEYS} | values, f"{section}: must be a map; omit it for the default, and upgrade with --reset")
    for section, values in SECTIONS.items()
]
NOT_LISTS: list[tuple[Object, str]] = [
    (
        {"azure": KEYS, section: {name: value}},
        f"{section}.{name}: must be a list; with --set write {section}.{name}[0]",
    )
    for section, name, value in LISTS
]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "queues[0]: has no credentials; set azure.existingSecret, azure.connectionString or azure.workloadIdentity"),
        ({"azure": KEYS | {"existingSecret": "ours"}}, "azure: set either existingSecret or connection strings, not both"),
        ({"azure": KEYS, "queues": {"name": "cats"}}, "queues: must be a list"),
        ({"azure": KEYS, "monitoring": {"podmonitor": {}}}, "monitoring.podmonitor: is not a value of this chart; choose from podMonitor"),
        ({"azure": KEYS, "monitoring": {"podMonitor": {"enabled": True}}}, "monitoring.scraper: is required with monitoring.podMonitor.enabled"),
        ({"azure": KEYS, "queues": []}, "queues: must have at least one queue"),
        ({"azure": KEYS, "queues": [{"nane": "cats"}]}, "queues[0].nane: is not a value of this chart; choose from kind, name"),
        ({"azure": KEYS, "trainingJob": {"gpus": 2}}, "trainingJob.gpus: is not a value of this chart; choose from labels, trainer"),
        (
            {"azure": KEYS, "queues": [{"trainingJob": {"podtemplate": {}}}]},
            "queues[0].trainingJob.podtemplate: is not a value of this chart",
        ),
        ({"azure": KEYS, "queues": [{"name": "cats"}, {"kind": "kafka"}]}, "queues[1].kind: must be storage or serviceBus, not kafka"),
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
        (
            {"azure": KEYS, "queues": [{"name": "cats", "targetNamespace": "team-a"}], "trainer": {"modelStore": {"containers": ["models"]}}},
            "trainer.modelStore.secretName: is required with queues[].targetNamespace",
        ),
        (
            {
                "azure": {"workloadIdentity": {"clientId": "x"}},
                "queues": [{"account": "acme"}],
                "trainer": {"modelStore": {"containers": ["models"]}},
            },
            "trainer.modelStore.secretName: is required, because azure has no Secret",
        ),
        (
            {"azure": KEYS, "trainer": {"modelStore": {"buckets": ["models"]}}},
            "trainer.modelStore.secretName: is required for buckets, because the Secret of azure's connection strings has no AWS",
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
            {"azure": KEYS, "trainer": {"dataStore": {"buckets": ["data"]}}},
            "trainer.modelStore.secretName: is required for buckets, because the Secret of azure's connection strings has no AWS",
        ),
        (
            {"azure": KEYS, "trainer": {"dataStore": {"secretName": "s"}}},
            "trainer.dataStore.secretName: is not a value of this chart; choose from containers, buckets",
        ),
        ({"azure": KEYS, "trainer": {"modelStore": None}}, "trainer.modelStore: must be a map of containers, buckets"),
        ({"azure": KEYS, "trainer": {"checkpoints": {"pvc": "c"}}}, "trainer.checkpoints.pvc: is not a value of this chart"),
        ({"azure": KEYS, "trainer": {"resources": {"limit": {}}}}, "trainer.resources.limit: is not a value of this chart; choose from requests"),
        (
            {"azure": KEYS, "trainer": {"checkpoints": {"url": "https://a/c", "persistentVolumeClaim": "c"}}},
            "trainer.checkpoints: set either url or persistentVolumeClaim, not both",
        ),
        ({"azure": KEYS, "trainer": {"checkpoints": {"url": "https://a/c?sig=S"}}}, "trainer.checkpoints.url: has a query"),
        (
            {
                "azure": {"workloadIdentity": {"clientId": "x"}},
                "queues": [{"account": "acme"}],
                "trainer": {"checkpoints": {"url": "https://a/c"}},
            },
            "trainer.checkpoints.url: has no credentials; set trainer.workloadIdentity.clientId or",
        ),
        (
            {"azure": KEYS, "trainer": {"imageCache": {"hostPath": "/a", "persistentVolumeClaim": "c"}}},
            "trainer.imageCache: set either hostPath or persistentVolumeClaim, not both",
        ),
        (
            {"azure": KEYS, "trainer": {"plugins": {"configMap": "a", "persistentVolumeClaim": "c"}}},
            "trainer.plugins: set either configMap or persistentVolumeClaim, not both",
        ),
        ({"azure": KEYS, "queues": ["cats"]}, "queues[0]: must be a map with at least a name"),
        *NOT_MAPS,
        *NOT_LISTS,
        ({"azure": KEYS, "outgoing": {"networks": ["minio"]}}, "outgoing.networks: minio is not a network, such as 10.1.2.0/24"),
        ({"azure": KEYS, "outgoing": {"networks": [10]}}, "outgoing.networks: 10 is not a network"),
        ({"azure": KEYS, "networkPolicy": {"apiServer": ["10.0.0.1:6443"]}}, "networkPolicy.apiServer: 10.0.0.1:6443 is not a network"),
        ({"azure": KEYS, "networkPolicy": {"apiServerPorts": ["https"]}}, "networkPolicy.apiServerPorts: https is not a port"),
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
