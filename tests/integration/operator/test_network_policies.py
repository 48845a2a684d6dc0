"""Whom the pods may talk to, as the chart's NetworkPolicies say."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest

from localcluster.network_policy_rules import selects
from tests.support.helm import KEYS, NO_CLUSTER, Object, one, rendered, template
from tests.support.observed_state import settings, trainingjob
from vott_guard import addresses
from vott_guard.addresses import IPNetwork
from vott_operator.objects import pod

TEAMS: list[Object] = [{"name": "cats", "targetNamespace": "team-a"}, {"name": "dogs", "targetNamespace": "team-b"}]


def policies(values: Object) -> dict[tuple[str, str], Object]:
    """Namespace and name to the spec of each policy."""
    found = [item for item in rendered({"azure": KEYS} | values) if item["kind"] == "NetworkPolicy"]
    return {(item["metadata"].get("namespace", "train"), item["metadata"]["name"]): item["spec"] for item in found}


def test_operator_and_trainings_are_held_in_every_namespace_by_default() -> None:
    found = policies({"queues": TEAMS, "azure": KEYS})
    spaces, of_trainings = ("train", "team-a", "team-b"), ("vott-trainer", "vott-trainer-nodes")
    assert set(found) == {("train", "vott"), *((space, name) for space in spaces for name in of_trainings)}
    assert {tuple(spec["policyTypes"]) for spec in found.values()} == {("Ingress", "Egress")}
    assert policies({"networkPolicy": {"enabled": False}}) == {}


def test_policies_hold_the_very_pods_that_there_are() -> None:
    manifests = rendered({"azure": KEYS})
    labels = one("Deployment", manifests)["spec"]["template"]["metadata"]["labels"]
    assert selects(policies({})["train", "vott"]["podSelector"], labels)
    assert not selects(policies({})["train", "vott-trainer"]["podSelector"], labels)
    for made in (labels_of(nodes=1), labels_of(nodes=2)):
        assert selects(policies({})["train", "vott-trainer"]["podSelector"], made)
        assert not selects(policies({})["train", "vott"]["podSelector"], made)


def labels_of(nodes: int) -> dict[str, str]:
    """Of the pods of a training on so many nodes."""
    made = pod.template(trainingjob({"trainer": {"nodes": nodes}}), settings().pod_settings)
    labels: dict[str, str] = made["metadata"]["labels"]
    return labels


@pytest.mark.parametrize(("who", "peer", "let_in"), [(2, 2, True), (2, 1, False), (1, 2, False), (1, 1, False)])
@pytest.mark.parametrize(("direction", "side"), [("ingress", "from"), ("egress", "to")])
def test_only_trainings_on_several_nodes_talk_to_each_other(
    who: int, peer: int, let_in: bool, direction: str, side: str
) -> None:
    peers = [
        allowed
        for spec in policies({}).values()
        if selects(spec["podSelector"], labels_of(who))
        for rule in spec[direction]
        for allowed in rule[side]
        if "ipBlock" not in allowed and "namespaceSelector" not in allowed
    ]
    assert any(selects(allowed["podSelector"], labels_of(peer)) for allowed in peers) == let_in


def test_nobody_talks_to_the_operator_nor_to_a_training_on_one_node() -> None:
    found = policies({})
    assert found["train", "vott"]["ingress"] == []
    assert found["train", "vott-trainer"]["ingress"] == []
    several = found["train", "vott-trainer-nodes"]
    assert several["ingress"] == [{"from": [{"podSelector": several["podSelector"]}]}]
    assert several["egress"] == [{"to": [{"podSelector": several["podSelector"]}]}]


OPERATOR, TRAININGS = "vott", "vott-trainer"
both = pytest.mark.parametrize("who", [OPERATOR, TRAININGS])


def leads_to(peer: Object, address: str) -> bool:
    """Whether a peer of a rule holds an address; one that selects pods holds none of those tried here."""
    if not (block := peer.get("ipBlock")):
        return peer == {}
    inside = ip_address(address) in ip_network(block["cidr"])
    return inside and not any(ip_address(address) in ip_network(hole) for hole in block.get("except", ()))


def reachable(who: str, address: str, values: Object) -> set[int]:
    """Ports that the pods of a policy reach at an address; 0 for all of them. A rule that names no peer is for all addresses."""
    return {
        port["port"]
        for rule in policies(values)["train", who]["egress"]
        if any(leads_to(peer, address) for peer in rule.get("to") or [{}])
        for port in rule.get("ports") or [{"port": 0}]
    }


INSIDE = (
    "169.254.169.254", "169.254.20.10", "168.63.129.16", "127.0.0.1", "0.0.0.0", "10.0.0.10", "10.244.0.7", "172.16.5.4",
    "192.168.1.1", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.0.192", "192.88.99.1", "224.0.0.1", "255.255.255.255",
    "fd00::1", "2001:db8::1",
)  # fmt: skip


@both
@pytest.mark.parametrize("address", INSIDE)
def test_neither_operator_nor_trainings_reach_an_address_inside(who: str, address: str) -> None:
    assert reachable(who, address, {}) == set()


@both
def test_public_addresses_are_reached_and_those_that_the_administrator_opens(who: str) -> None:
    assert reachable(who, "20.60.1.1", {}) == {0}
    assert reachable(who, "10.1.2.3", {"outgoing": {"networks": ["10.1.2.0/24"]}}) == {0}
    assert reachable(who, "10.1.2.3", {"outgoing": {"networks": [" 10.1.2.3"]}}) == {0}


def holes(who: str, network: str, values: Object) -> list[IPNetwork]:
    """What the last rule for a network leaves out of it, in the smallest number of networks."""
    peers = [peer.get("ipBlock", {}) for rule in policies(values)["train", who]["egress"] for peer in rule["to"]]
    block = [peer for peer in peers if peer.get("cidr") == network][-1]
    left_out = [ip_network(hole) for hole in block.get("except", ())]
    # Else the API server would refuse the policy.
    assert all(within(hole, ip_network(network)) and hole != ip_network(network) for hole in left_out)
    assert len(left_out) == len(smallest(left_out))
    return smallest(left_out)


def within(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def smallest(networks: Iterable[IPNetwork]) -> list[IPNetwork]:
    """Those that lie in no other."""
    known = list(networks)
    return sorted((one for one in known if not any(one != other and within(one, other) for other in known)), key=str)


def of_version(version: int, *tables: tuple[tuple[IPNetwork, str], ...]) -> list[IPNetwork]:
    return smallest(network for table in tables for network, _ in table if network.version == version)


@both
def test_the_policies_leave_out_of_the_internet_what_the_guard_does(who: str) -> None:
    assert holes(who, "0.0.0.0/0", {}) == of_version(4, addresses._NEVER, addresses._NOT_PUBLIC)


@both
@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0", "168.0.0.0/6", "100.64.0.0/10", "192.0.0.0/24", "10.0.0.0/8",
        "::/0", "fd00::/8", "fd00:42::/64", "FD00:00C1::/64", "fd12:3456:789a::/48",
    ],
)  # fmt: skip
def test_networks_that_the_administrator_opens_are_without_the_addresses_that_nobody_may_reach(
    who: str, network: str
) -> None:
    wide = ip_network(network)
    expected = [one for one in of_version(wide.version, addresses._NEVER) if within(one, wide)]
    assert holes(who, network, {"outgoing": {"networks": [network]}}) == expected


def test_ports_of_trainings_can_be_narrowed_and_the_operators_stay() -> None:
    narrow = {"networkPolicy": {"apiServer": ["10.0.0.1"], "trainerPorts": [{"protocol": "TCP", "port": 443}]}}
    assert reachable(TRAININGS, "20.60.1.1", narrow) == {443}
    assert reachable(OPERATOR, "20.60.1.1", narrow) == {0}


@both
def test_the_api_server_is_reached_at_its_own_ports_only(who: str) -> None:
    assert reachable(who, "10.0.0.1", {}) == {443, 6443}
    microk8s = {"networkPolicy": {"apiServer": ["10.0.0.1"], "apiServerPorts": [16443]}}
    assert reachable(who, "10.0.0.1", microk8s) == {16443}


def test_further_rules_of_the_administrator_are_added_to_the_pods_that_they_are_for() -> None:
    store = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "minio"}}}]}
    found = policies({"networkPolicy": NO_CLUSTER["networkPolicy"] | {"trainerEgress": [store]}})
    assert found["train", "vott-trainer"]["egress"][-1] == store
    assert store not in found["train", "vott"]["egress"]


def test_without_a_cluster_to_ask_the_api_servers_address_is_asked_of_the_administrator() -> None:
    result = template({"azure": KEYS, "networkPolicy": {"apiServer": []}})
    assert "networkPolicy.apiServer: list the API server's addresses as CIDRs" in result.stderr
