"""What the chart's NetworkPolicies let the operator's and the trainings' pods reach."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest

from localcluster.network_policy_rules import selects
from tests.support.helm import KEYS, NO_CLUSTER, Object, manifest_of_kind, render, template
from tests.support.observed_state import settings, trainingjob
from vott_guard import addresses
from vott_guard.addresses import IPNetwork
from vott_operator.objects import pod

TEAMS: list[Object] = [{"name": "cats", "targetNamespace": "team-a"}, {"name": "dogs", "targetNamespace": "team-b"}]


def policies(values: Object) -> dict[tuple[str, str], Object]:
    """Specs of the policies by namespace and name."""
    rendered_policies = [item for item in render({"azure": KEYS} | values) if item["kind"] == "NetworkPolicy"]
    return {
        (item["metadata"].get("namespace", "train"), item["metadata"]["name"]): item["spec"]
        for item in rendered_policies
    }


def test_operator_and_trainings_have_policies_in_every_namespace_by_default() -> None:
    found = policies({"queues": TEAMS, "azure": KEYS})
    namespaces, of_trainings = ("train", "team-a", "team-b"), ("vott-trainer", "vott-trainer-nodes")
    assert set(found) == {("train", "vott"), *((namespace, name) for namespace in namespaces for name in of_trainings)}
    assert {tuple(spec["policyTypes"]) for spec in found.values()} == {("Ingress", "Egress")}
    assert policies({"networkPolicy": {"enabled": False}}) == {}


def test_policies_select_the_pods_of_operator_and_trainings() -> None:
    manifests = render({"azure": KEYS})
    labels = manifest_of_kind("Deployment", manifests)["spec"]["template"]["metadata"]["labels"]
    assert selects(policies({})["train", "vott"]["podSelector"], labels)
    assert not selects(policies({})["train", "vott-trainer"]["podSelector"], labels)
    for training_labels in (labels_of(nodes=1), labels_of(nodes=2)):
        assert selects(policies({})["train", "vott-trainer"]["podSelector"], training_labels)
        assert not selects(policies({})["train", "vott"]["podSelector"], training_labels)


def labels_of(nodes: int) -> dict[str, str]:
    """Labels of the pods of a training on this number of nodes."""
    pod_template = pod.template(trainingjob({"trainer": {"nodes": nodes}}), settings().pod_settings)
    labels: dict[str, str] = pod_template["metadata"]["labels"]
    return labels


@pytest.mark.parametrize(
    ("nodes", "peer_nodes", "is_allowed"), [(2, 2, True), (2, 1, False), (1, 2, False), (1, 1, False)]
)
@pytest.mark.parametrize(("direction", "side"), [("ingress", "from"), ("egress", "to")])
def test_only_pods_of_multi_node_trainings_reach_each_other(
    nodes: int, peer_nodes: int, is_allowed: bool, direction: str, side: str
) -> None:
    peers = [
        allowed
        for spec in policies({}).values()
        if selects(spec["podSelector"], labels_of(nodes))
        for rule in spec[direction]
        for allowed in rule[side]
        if "ipBlock" not in allowed and "namespaceSelector" not in allowed
    ]
    assert any(selects(allowed["podSelector"], labels_of(peer_nodes)) for allowed in peers) == is_allowed


def test_no_pod_reaches_the_operator_or_a_single_node_training() -> None:
    found = policies({})
    assert found["train", "vott"]["ingress"] == []
    assert found["train", "vott-trainer"]["ingress"] == []
    multi_node = found["train", "vott-trainer-nodes"]
    assert multi_node["ingress"] == [{"from": [{"podSelector": multi_node["podSelector"]}]}]
    assert multi_node["egress"] == [{"to": [{"podSelector": multi_node["podSelector"]}]}]


OPERATOR, TRAININGS = "vott", "vott-trainer"
both = pytest.mark.parametrize("policy", [OPERATOR, TRAININGS])


def matches(peer: Object, address: str) -> bool:
    """Whether a rule's peer matches an address. A peer that selects pods matches none of the tested addresses."""
    if not (block := peer.get("ipBlock")):
        return peer == {}
    inside = ip_address(address) in ip_network(block["cidr"])
    return inside and not any(ip_address(address) in ip_network(cidr) for cidr in block.get("except", ()))


def reachable(policy: str, address: str, values: Object) -> set[int]:
    """Ports that the policy's pods reach at an address; 0 means all. A rule without peers matches all addresses."""
    return {
        port["port"]
        for rule in policies(values)["train", policy]["egress"]
        if any(matches(peer, address) for peer in rule.get("to") or [{}])
        for port in rule.get("ports") or [{"port": 0}]
    }


INTERNAL_ADDRESSES = (
    "169.254.169.254", "169.254.20.10", "168.63.129.16", "127.0.0.1", "0.0.0.0", "10.0.0.10", "10.244.0.7", "172.16.5.4",
    "192.168.1.1", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.0.192", "192.88.99.1", "224.0.0.1", "255.255.255.255",
    "fd00::1", "2001:db8::1",
)  # fmt: skip


@both
@pytest.mark.parametrize("address", INTERNAL_ADDRESSES)
def test_internal_addresses_are_not_reached(policy: str, address: str) -> None:
    assert reachable(policy, address, {}) == set()


@both
def test_public_and_allowed_addresses_are_reached(policy: str) -> None:
    assert reachable(policy, "20.60.1.1", {}) == {0}
    assert reachable(policy, "10.1.2.3", {"outgoing": {"networks": ["10.1.2.0/24"]}}) == {0}
    assert reachable(policy, "10.1.2.3", {"outgoing": {"networks": [" 10.1.2.3"]}}) == {0}


def exceptions(policy: str, network: str, values: Object) -> list[IPNetwork]:
    """Networks excluded by the last rule for a network, without redundant ones."""
    peers = [peer.get("ipBlock", {}) for rule in policies(values)["train", policy]["egress"] for peer in rule["to"]]
    block = [peer for peer in peers if peer.get("cidr") == network][-1]
    excluded = [ip_network(cidr) for cidr in block.get("except", ())]
    # Otherwise the API server would refuse the policy.
    assert all(within(item, ip_network(network)) and item != ip_network(network) for item in excluded)
    assert len(excluded) == len(without_subnets(excluded))
    return without_subnets(excluded)


def within(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def without_subnets(networks: Iterable[IPNetwork]) -> list[IPNetwork]:
    """Networks that are not within another one."""
    items = list(networks)
    return sorted((one for one in items if not any(one != other and within(one, other) for other in items)), key=str)


def of_version(version: int, *tables: tuple[tuple[IPNetwork, str], ...]) -> list[IPNetwork]:
    return without_subnets(network for table in tables for network, _ in table if network.version == version)


@both
def test_the_policies_exclude_the_same_networks_as_the_guard(policy: str) -> None:
    assert exceptions(policy, "0.0.0.0/0", {}) == of_version(4, addresses._NEVER, addresses._NOT_PUBLIC)


@both
@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0", "168.0.0.0/6", "100.64.0.0/10", "192.0.0.0/24", "10.0.0.0/8",
        "::/0", "fd00::/8", "fd00:42::/64", "FD00:00C1::/64", "fd12:3456:789a::/48",
    ],
)  # fmt: skip
def test_allowed_networks_exclude_addresses_that_are_never_allowed(policy: str, network: str) -> None:
    allowed = ip_network(network)
    expected = [one for one in of_version(allowed.version, addresses._NEVER) if within(one, allowed)]
    assert exceptions(policy, network, {"outgoing": {"networks": [network]}}) == expected


def test_trainer_ports_restrict_only_the_trainings() -> None:
    restricted = {"networkPolicy": {"apiServer": ["10.0.0.1"], "trainerPorts": [{"protocol": "TCP", "port": 443}]}}
    assert reachable(TRAININGS, "20.60.1.1", restricted) == {443}
    assert reachable(OPERATOR, "20.60.1.1", restricted) == {0}


@both
def test_the_api_server_is_reached_at_its_ports_only(policy: str) -> None:
    assert reachable(policy, "10.0.0.1", {}) == {443, 6443}
    microk8s = {"networkPolicy": {"apiServer": ["10.0.0.1"], "apiServerPorts": [16443]}}
    assert reachable(policy, "10.0.0.1", microk8s) == {16443}


def test_extra_egress_rules_apply_to_their_pods_only() -> None:
    store = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "minio"}}}]}
    found = policies({"networkPolicy": NO_CLUSTER["networkPolicy"] | {"trainerEgress": [store]}})
    assert found["train", "vott-trainer"]["egress"][-1] == store
    assert store not in found["train", "vott"]["egress"]


def test_without_a_cluster_the_api_servers_address_is_required() -> None:
    result = template({"azure": KEYS, "networkPolicy": {"apiServer": []}})
    assert "networkPolicy.apiServer: list the API server's addresses as CIDRs" in result.stderr
