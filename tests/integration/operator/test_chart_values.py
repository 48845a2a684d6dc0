"""Values of the chart that cannot work."""

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
}
LISTS: list[tuple[str, str, Any]] = [
    ("outgoing", "hosts", "minio"),
    ("outgoing", "networks", None),
    ("networkPolicy", "apiServer", "10.0.0.1"),
    ("networkPolicy", "apiServerPorts", 6443),
    ("networkPolicy", "trainerPorts", "443"),
    ("networkPolicy", "operatorEgress", {}),
    ("networkPolicy", "trainerEgress", "all"),
]
NOT_MAPS: list[tuple[Object, str]] = [
    ({"azure": KEYS} | values, f"{place}: has to be a map; leave it out for the default, and upgrade with --reset")
    for place, values in SECTIONS.items()
]
NOT_LISTS: list[tuple[Object, str]] = [
    (
        {"azure": KEYS, section: {name: found}},
        f"{section}.{name}: has to be a list; with --set write {section}.{name}[0]",
    )
    for section, name, found in LISTS
]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "queues[0]: has no credentials; set azure.existingSecret, azure.connectionString or azure.workloadIdentity"),
        ({"azure": KEYS | {"existingSecret": "ours"}}, "azure: give either existingSecret or connection strings, not both"),
        ({"azure": KEYS, "queues": {"name": "cats"}}, "queues: is a list"),
        ({"azure": KEYS, "queues": []}, "queues: name at least one queue"),
        ({"azure": KEYS, "queues": [{"nane": "cats"}]}, "queues[0].nane: there is no such value; there are kind, name"),
        ({"azure": KEYS, "trainingJob": {"gpus": 2}}, "trainingJob.gpus: there is no such value; there are labels, trainer"),
        (
            {"azure": KEYS, "queues": [{"trainingJob": {"podtemplate": {}}}]},
            "queues[0].trainingJob.podtemplate: there is no such value",
        ),
        ({"azure": KEYS, "queues": [{"name": "cats"}, {"kind": "kafka"}]}, "queues[1].kind: is kafka; it may be storage or"),
        ({"azure": KEYS, "queues": [{"kind": "serviceBus", "account": "x"}]}, "queues[0].account: is for storage queues"),
        ({"azure": KEYS, "queues": [{"serviceBusNamespace": "x"}]}, "queues[0].serviceBusNamespace: is for Service Bus"),
        ({"azure": {"connectionString": "x"}, "queues": [{"kind": "serviceBus"}]}, "set azure.serviceBusConnectionString too"),
        ({"azure": {"serviceBusConnectionString": "x"}}, "set azure.connectionString too"),
        ({"azure": {"workloadIdentity": {"clientId": "x"}}}, "queues[0].account: is needed with a workload identity"),
        (
            {"azure": {"workloadIdentity": {"clientId": "x"}}, "queues": [{"kind": "serviceBus"}]},
            "queues[0].serviceBusNamespace: is needed with a workload identity",
        ),
        ({"azure": KEYS, "replicas": 0}, "replicas: is 1, or 2 with one on standby"),
        ({"azure": KEYS, "replicas": 2, "leaderElection": {"enabled": False}}, "replicas: more than one needs leaderElection"),
        (
            {"azure": KEYS, "queues": [{"name": "cats", "targetNamespace": "team-a"}], "trainer": {"modelStore": {"containers": ["models"]}}},
            "trainer.modelStore.secretName: is needed with queues[].targetNamespace",
        ),
        (
            {
                "azure": {"workloadIdentity": {"clientId": "x"}},
                "queues": [{"account": "acme"}],
                "trainer": {"modelStore": {"containers": ["models"]}},
            },
            "trainer.modelStore.secretName: is needed, because azure names no Secret",
        ),
        (
            {"azure": KEYS, "trainer": {"modelStore": {"buckets": ["models"]}}},
            "trainer.modelStore.secretName: is needed for buckets, because the Secret of azure's connection strings has no AWS",
        ),
        (
            {"azure": KEYS, "trainer": {"modelStore": {"containers": ["https://a/c"]}}},
            "trainer.modelStore.containers: https://a/c needs trainer.workloadIdentity.clientId; a container of the",
        ),
        ({"azure": KEYS, "trainer": {"modelStore": None}}, "trainer.modelStore: has to be a map of containers, buckets"),
        ({"azure": KEYS, "trainer": {"checkpoints": {"pvc": "c"}}}, "trainer.checkpoints.pvc: there is no such value"),
        ({"azure": KEYS, "trainer": {"resources": {"limit": {}}}}, "trainer.resources.limit: there is no such value; there are requests"),
        (
            {"azure": KEYS, "trainer": {"checkpoints": {"url": "https://a/c", "persistentVolumeClaim": "c"}}},
            "trainer.checkpoints: give either url or persistentVolumeClaim, not both",
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
            "trainer.imageCache: give either hostPath or persistentVolumeClaim, not both",
        ),
        (
            {"azure": KEYS, "trainer": {"plugins": {"configMap": "a", "persistentVolumeClaim": "c"}}},
            "trainer.plugins: give either configMap or persistentVolumeClaim, not both",
        ),
        ({"azure": KEYS, "queues": ["cats"]}, "queues[0]: has to be a map, with at least a name"),
        *NOT_MAPS,
        *NOT_LISTS,
        ({"azure": KEYS, "outgoing": {"networks": ["minio"]}}, "outgoing.networks: minio is no network; write 10.1.2.0/24"),
        ({"azure": KEYS, "outgoing": {"networks": [10]}}, "outgoing.networks: 10 is no network"),
        ({"azure": KEYS, "networkPolicy": {"apiServer": ["10.0.0.1:6443"]}}, "networkPolicy.apiServer: 10.0.0.1:6443 is no"),
        ({"azure": KEYS, "networkPolicy": {"apiServerPorts": ["https"]}}, "networkPolicy.apiServerPorts: https is no port"),
        *(
            ({"azure": KEYS, "outgoing": {"networks": [network]}}, "can't be allowed: nothing may connect to")
            for network in ("169.254.0.0/16", "169.254.169.254", "168.63.129.16", "fd00:ec2::254", "fe80::/64", "FD00:42::42")
        ),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused_with_a_sentence(values: Object, said: str) -> None:
    result = template(values)
    assert result.returncode != 0
    assert said in result.stderr
