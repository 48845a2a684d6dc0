"""Translation of NetworkPolicies into nft rules."""

from typing import Any

import pytest

from localcluster.network_policy_rules import ruleset, selects

Object = dict[str, Any]
NAMESPACES = [
    {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in ("cats", "dogs")
]
CAT = {"kind": "cat"}


def pod(address: str, namespace: str = "cats", labels: Object | None = None, phase: str = "Running") -> Object:
    status = {"podIP": address, "phase": phase}
    return {"metadata": {"namespace": namespace, "labels": labels or CAT}, "spec": {}, "status": status}


def policy(*types: str, **spec: Any) -> Object:
    defaults = {"podSelector": {"matchLabels": CAT}, "policyTypes": list(types)}
    return {"metadata": {"namespace": "cats"}, "spec": defaults | spec}


def chain(name: str, policies: list[Object], pods: list[Object]) -> list[str] | None:
    """The rules of the chain, or None if it does not exist."""
    text = ruleset("policies", policies, pods, NAMESPACES)
    _, header, rest = text.partition(f"  chain {name} {{\n")
    return [line.strip() for line in rest.partition("  }\n")[0].splitlines()] if header else None


REJECT = "reject with icmp admin-prohibited"
OTHERS = [pod("10.0.0.1"), pod("10.0.0.2", labels={"kind": "other"}), pod("10.0.0.3", "dogs")]


def egress(*rules: Object) -> list[str] | None:
    return chain("egress-10-0-0-1", [policy("Egress", egress=list(rules))], OTHERS)


def test_a_pod_without_policies_is_unrestricted() -> None:
    text = ruleset("policies", [policy("Egress"), policy("Ingress")], [pod("10.0.0.3", "dogs")], NAMESPACES)
    assert REJECT not in text


def test_a_policy_without_rules_rejects_everything_in_its_direction_only() -> None:
    policies = [policy("Ingress", egress=[{}])]
    assert chain("ingress-10-0-0-1", policies, OTHERS) == [REJECT]
    assert chain("egress-10-0-0-1", policies, OTHERS) is None


def test_a_rule_without_peers_and_ports_allows_everything() -> None:
    assert egress({}) == ["return", REJECT]


def test_policies_of_one_pod_are_combined() -> None:
    ports = [policy("Egress", egress=[{"ports": [{"port": port}]}]) for port in (443, 80)]
    assert chain("egress-10-0-0-1", ports, OTHERS) == ["tcp dport 443 return", "tcp dport 80 return", REJECT]


def test_an_ip_block_is_allowed_except_for_its_exceptions() -> None:
    block = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.0.0/16"]}}
    allowed = "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 169.254.0.0/16 }"
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 1, "endPort": 9}]
    assert egress({"to": [block], "ports": ports}) == [
        f"{allowed} udp dport 53 return", f"{allowed} tcp dport 1-9 return", REJECT,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {}}, "10.0.0.1, 10.0.0.2"),
        ({"namespaceSelector": {}}, "10.0.0.1, 10.0.0.2, 10.0.0.3"),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dogs"}}}, "10.0.0.3"),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": CAT}}, "10.0.0.1, 10.0.0.3"),
    ],
)
def test_peers_are_pods_of_the_policys_namespace_unless_others_are_selected(peer: Object, addresses: str) -> None:
    assert egress({"to": [peer]}) == [f"ip daddr {{ {addresses} }} return", REJECT]


def test_a_selector_without_matching_pods_allows_nothing() -> None:
    assert egress({"to": [{"podSelector": {"matchLabels": {"kind": "bird"}}}]}) == [REJECT]


def test_ingress_rules_match_the_source_address() -> None:
    policies = [policy("Ingress", ingress=[{"from": [{"podSelector": {"matchLabels": {"kind": "other"}}}]}])]
    assert chain("ingress-10-0-0-1", policies, OTHERS) == ["ip saddr { 10.0.0.2 } return", REJECT]
    assert chain("decide", policies, OTHERS) == [
        "ct state established,related return", "ip daddr vmap { 10.0.0.1 : jump ingress-10-0-0-1 }",
    ]  # fmt: skip


def test_a_finished_pod_is_not_a_peer() -> None:
    ended = pod("10.0.0.9", phase="Succeeded")
    assert "10.0.0.9" not in ruleset(
        "policies", [policy("Egress", egress=[{"to": [{"podSelector": {}}]}])], [ended], []
    )


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["cat", "dog"], True), ("In", ["dog"], False), ("NotIn", ["dog"], True), ("NotIn", ["cat"], False),
        ("Exists", None, True), ("DoesNotExist", None, False),
    ],
)  # fmt: skip
def test_match_expressions_select_as_in_kubernetes(operator: str, values: list[str] | None, selected: bool) -> None:
    expression = {"key": "kind", "operator": operator} | ({"values": values} if values else {})
    assert selects({"matchExpressions": [expression]}, CAT) == selected
    assert selects({"matchExpressions": [expression]}, {}) == (operator in ("NotIn", "DoesNotExist"))
