"""Whom the pods may talk to, as the chart's NetworkPolicies say."""

import json
from ipaddress import ip_address, ip_network

import pytest

from localcluster.policy_rules import selects
from tests.support.helm import KEYS, NO_CLUSTER, Object, one, rendered, template
from tests.unit.operator.builders import trainingjob
from vott_operator import pods

TEAMS: list[Object] = [{"name": "cats", "targetNamespace": "team-a"}, {"name": "dogs", "targetNamespace": "team-b"}]


def policies(values: Object) -> dict[tuple[str, str], Object]:
    """Namespace and name to the spec of each policy."""
    found = [item for item in rendered({"azure": KEYS} | values) if item["kind"] == "NetworkPolicy"]
    return {(item["metadata"].get("namespace", "train"), item["metadata"]["name"]): item["spec"] for item in found}


def test_operator_and_trainings_are_held_in_every_namespace_by_default() -> None:
    found = policies({"queues": TEAMS, "azure": KEYS})
    assert set(found) == {("train", "vott"), *((space, "vott-trainer") for space in ("train", "team-a", "team-b"))}
    assert {tuple(spec["policyTypes"]) for spec in found.values()} == {("Ingress", "Egress")}
    assert policies({"networkPolicy": {"enabled": False}}) == {}


def test_policies_hold_the_very_pods_that_there_are() -> None:
    manifests = rendered({"azure": KEYS})
    labels = one("Deployment", manifests)["spec"]["template"]["metadata"]["labels"]
    assert selects(policies({})["train", "vott"]["podSelector"], labels)
    assert not selects(policies({})["train", "vott-trainer"]["podSelector"], labels)
    made = pods.labels(trainingjob())
    assert selects(policies({})["train", "vott-trainer"]["podSelector"], made)
    assert not selects(policies({})["train", "vott"]["podSelector"], made)


def test_nobody_talks_to_the_operator_and_only_trainings_talk_to_trainings() -> None:
    found = policies({})
    trainings = found["train", "vott-trainer"]["podSelector"]
    assert found["train", "vott"]["ingress"] == []
    assert found["train", "vott-trainer"]["ingress"] == [{"from": [{"podSelector": trainings}]}]


def reachable(address: str, values: Object) -> set[int]:
    """Ports that a training reaches at an address; 0 for all of them."""
    rules = policies(values)["train", "vott-trainer"]["egress"]
    return {
        port["port"]
        for rule in rules
        for peer in rule["to"]
        if (block := peer.get("ipBlock"))
        and ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(hole) for hole in block.get("except", ()))
        for port in rule.get("ports", [{"port": 0}])
    }


INSIDE = (
    "169.254.169.254", "169.254.20.10", "168.63.129.16", "127.0.0.1", "0.0.0.0", "10.0.0.10", "10.244.0.7", "172.16.5.4",
    "192.168.1.1", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.0.192", "224.0.0.1", "255.255.255.255",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_trainings_reach_no_address_inside(address: str) -> None:
    assert reachable(address, {}) == set()


def test_trainings_reach_public_addresses_and_those_that_the_administrator_opens() -> None:
    assert reachable("20.60.1.1", {}) == {0}
    assert reachable("10.1.2.3", {"outgoing": {"networks": ["10.1.2.0/24"]}}) == {0}
    assert reachable("10.1.2.3", {"outgoing": {"networks": ["10.1.2.3"]}}) == {0}


def test_ports_of_trainings_can_be_narrowed_and_the_operators_stay() -> None:
    narrow = {"networkPolicy": {"apiServer": ["10.0.0.1"], "trainerPorts": [{"protocol": "TCP", "port": 443}]}}
    assert reachable("20.60.1.1", narrow) == {443}
    (public,) = [rule for rule in policies(narrow)["train", "vott"]["egress"] if "0.0.0.0/0" in json.dumps(rule)]
    assert "ports" not in public


def test_the_api_server_is_reached_at_its_own_ports_only() -> None:
    assert reachable("10.0.0.1", {}) == {443, 6443}


def test_further_rules_of_the_administrator_are_added_to_the_pods_that_they_are_for() -> None:
    store = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "minio"}}}]}
    found = policies({"networkPolicy": NO_CLUSTER["networkPolicy"] | {"trainerEgress": [store]}})
    assert found["train", "vott-trainer"]["egress"][-1] == store
    assert store not in found["train", "vott"]["egress"]


def test_without_a_cluster_to_ask_the_api_servers_address_is_asked_of_the_administrator() -> None:
    result = template({"azure": KEYS, "networkPolicy": {"apiServer": []}})
    assert "networkPolicy.apiServer: list the API server's addresses as CIDRs" in result.stderr
