"""NetworkPolicies as nft's rules."""

from typing import Any

import pytest

from localcluster.policy_rules import ruleset, selects

Object = dict[str, Any]
NAMESPACES = [
    {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in ("cats", "dogs")
]
CAT = {"kind": "cat"}


def pod(address: str, namespace: str = "cats", labels: Object | None = None, phase: str = "Running") -> Object:
    status = {"podIP": address, "phase": phase}
    return {"metadata": {"namespace": namespace, "labels": labels or CAT}, "spec": {}, "status": status}


def policy(*types: str, **spec: Any) -> Object:
    selecting = {"podSelector": {"matchLabels": CAT}, "policyTypes": list(types)}
    return {"metadata": {"namespace": "cats"}, "spec": selecting | spec}


def chain(name: str, policies: list[Object], pods: list[Object]) -> list[str] | None:
    """The rules of that chain, None where there is none."""
    text = ruleset("policies", policies, pods, NAMESPACES)
    _, found, rest = text.partition(f"  chain {name} {{\n")
    return [line.strip() for line in rest.partition("  }\n")[0].splitlines()] if found else None


REFUSED = "reject with icmp admin-prohibited"
OTHERS = [pod("10.0.0.1"), pod("10.0.0.2", labels={"kind": "other"}), pod("10.0.0.3", "dogs")]


def egress(*rules: Object) -> list[str] | None:
    return chain("egress-10-0-0-1", [policy("Egress", egress=list(rules))], OTHERS)


def test_a_pod_that_no_policy_holds_may_do_everything() -> None:
    text = ruleset("policies", [policy("Egress"), policy("Ingress")], [pod("10.0.0.3", "dogs")], NAMESPACES)
    assert REFUSED not in text


def test_a_policy_without_rules_refuses_all_in_its_own_direction_only() -> None:
    policies = [policy("Ingress", egress=[{}])]
    assert chain("ingress-10-0-0-1", policies, OTHERS) == [REFUSED]
    assert chain("egress-10-0-0-1", policies, OTHERS) is None


def test_a_rule_without_peers_and_ports_allows_everything() -> None:
    assert egress({}) == ["return", REFUSED]


def test_policies_of_one_pod_add_up() -> None:
    ports = [policy("Egress", egress=[{"ports": [{"port": port}]}]) for port in (443, 80)]
    assert chain("egress-10-0-0-1", ports, OTHERS) == ["tcp dport 443 return", "tcp dport 80 return", REFUSED]


def test_a_block_is_allowed_but_for_its_exceptions() -> None:
    block = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.0.0/16"]}}
    allowed = "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 169.254.0.0/16 }"
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 1, "endPort": 9}]
    assert egress({"to": [block], "ports": ports}) == [
        f"{allowed} udp dport 53 return", f"{allowed} tcp dport 1-9 return", REFUSED,
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
def test_peers_are_pods_of_the_own_namespace_unless_others_are_selected(peer: Object, addresses: str) -> None:
    assert egress({"to": [peer]}) == [f"ip daddr {{ {addresses} }} return", REFUSED]


def test_peers_that_are_not_there_allow_nobody() -> None:
    assert egress({"to": [{"podSelector": {"matchLabels": {"kind": "bird"}}}]}) == [REFUSED]


def test_whoever_may_come_in_is_looked_for_at_the_other_end() -> None:
    policies = [policy("Ingress", ingress=[{"from": [{"podSelector": {"matchLabels": {"kind": "other"}}}]}])]
    assert chain("ingress-10-0-0-1", policies, OTHERS) == ["ip saddr { 10.0.0.2 } return", REFUSED]
    assert chain("decide", policies, OTHERS) == [
        "ct state established,related return", "ip daddr vmap { 10.0.0.1 : jump ingress-10-0-0-1 }",
    ]  # fmt: skip


def test_the_address_of_a_pod_that_ended_is_nobodys() -> None:
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
def test_expressions_select_as_in_kubernetes(operator: str, values: list[str] | None, selected: bool) -> None:
    expression = {"key": "kind", "operator": operator} | ({"values": values} if values else {})
    assert selects({"matchExpressions": [expression]}, CAT) == selected
    assert selects({"matchExpressions": [expression]}, {}) == (operator in ("NotIn", "DoesNotExist"))
