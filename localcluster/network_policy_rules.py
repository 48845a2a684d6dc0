"""Translate NetworkPolicies into an nft ruleset. Pure.

The cluster's plain bridge doesn't enforce NetworkPolicies, and network plugins that do are container images. Like those,
these rules match addresses after Service translation, and always allow traffic from the node to its pods.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
_ENDED = ("Succeeded", "Failed")  # their addresses may be reused


@dataclass(frozen=True)
class Pod:
    """A pod with its own address."""

    namespace: str
    labels: dict[str, str]
    address: str


@dataclass(frozen=True)
class _Direction:
    name: str  # for nft's chains
    rules_field: str  # in a policy's spec
    peers_field: str  # in a rule
    pod: str  # nft's address of the policy's pod
    peer: str  # nft's address of the peer


_DIRECTIONS = (
    _Direction("egress", "egress", "to", "saddr", "daddr"),
    _Direction("ingress", "ingress", "from", "daddr", "saddr"),
)


def ruleset(table: str, policies: Iterable[Object], pods: Iterable[Object], namespaces: Iterable[Object]) -> str:
    """Input for `nft -f` that replaces the table atomically.

    Args:
        table: Name of the table in nft's family ip.
        policies: All NetworkPolicies of the cluster, as API objects.
        pods: All pods, likewise.
        namespaces: All namespaces, likewise.
    """
    addressed = [pod for item in pods if (pod := _pod(item))]
    labels = {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in namespaces}
    cluster, chains, jumps = _Cluster(addressed, labels), list[str](), list[str]()
    for direction in _DIRECTIONS:
        rules_by_address = {pod.address: _rules(direction, pod, list(policies), cluster) for pod in addressed}
        restricted = {address: rules for address, rules in rules_by_address.items() if rules is not None}
        chains += [_chain(_name(direction, address), rules) for address, rules in restricted.items()]
        if restricted:
            verdicts = ", ".join(f"{address} : jump {_name(direction, address)}" for address in restricted)
            jumps.append(f"ip {direction.pod} vmap {{ {verdicts} }}")
    decide = _chain("decide", ["ct state established,related return", *jumps])
    hooks = [_chain(hook, [f"type filter hook {hook} priority filter", "jump decide"]) for hook in ("input", "forward")]
    return "\n".join(
        [f"table ip {table}", f"delete table ip {table}", f"table ip {table} {{", *chains, decide, *hooks, "}", ""]
    )


def _pod(item: Object) -> Pod | None:
    status, metadata = item.get("status", {}), item["metadata"]
    if item["spec"].get("hostNetwork") or not status.get("podIP") or status.get("phase") in _ENDED:
        return None
    return Pod(metadata["namespace"], metadata.get("labels", {}), status["podIP"])


def _rules(direction: _Direction, pod: Pod, policies: list[Object], cluster: "_Cluster") -> list[str] | None:
    """Rules that allow what policies allow and reject the rest; None if no policy applies to the pod."""
    applicable = [policy for policy in policies if _applies(direction, policy, pod)]
    if not applicable:
        return None
    allowed = [
        text
        for policy in applicable
        for rule in policy["spec"].get(direction.rules_field) or ()
        for text in _allowed(direction, rule, policy["metadata"]["namespace"], cluster)
    ]
    return [*dict.fromkeys(allowed), "reject with icmp admin-prohibited"]


def _applies(direction: _Direction, policy: Object, pod: Pod) -> bool:
    spec = policy["spec"]
    types = [name.lower() for name in spec.get("policyTypes", ())]
    same_namespace = policy["metadata"]["namespace"] == pod.namespace
    return direction.name in types and same_namespace and selects(spec["podSelector"], pod.labels)


def _allowed(direction: _Direction, rule: Object, namespace: str, cluster: "_Cluster") -> list[str]:
    """One nft rule for each peer and port."""
    peers_spec = rule.get(direction.peers_field)
    peers = cluster.match(peers_spec, namespace, direction.peer) if peers_spec else [""]
    ports = [_port(port) for port in rule["ports"]] if rule.get("ports") else [""]
    return [" ".join(filter(None, (peer, port, "return"))) for peer in peers for port in ports]


def _port(port: Object) -> str:
    protocol, first = port.get("protocol", "TCP").lower(), port.get("port")
    if first is None:
        return f"meta l4proto {protocol}"
    if not isinstance(first, int):
        raise NotImplementedError(f"a NetworkPolicy has the named port {first!r}; this cluster supports only numbers")
    return f"{protocol} dport {first}" + (f"-{port['endPort']}" if "endPort" in port else "")


@dataclass(frozen=True)
class _Cluster:
    pods: list[Pod]
    namespaces: dict[str, dict[str, str]]

    def match(self, peers: list[Object], namespace: str, side: str) -> list[str]:
        """nft expressions that match the existing peers."""
        blocks = [_block(peer["ipBlock"], side) for peer in peers if "ipBlock" in peer]
        selectors = [self._selector(peer, namespace) for peer in peers if "ipBlock" not in peer]
        addresses = [pod.address for pod in self.pods if any(is_selected(pod) for is_selected in selectors)]
        return blocks + ([f"ip {side} {{ {', '.join(addresses)} }}"] if addresses else [])

    def _selector(self, peer: Object, namespace: str) -> Callable[[Pod], bool]:
        def is_in_namespace(pod: Pod) -> bool:
            if "namespaceSelector" not in peer:
                return pod.namespace == namespace
            return selects(peer["namespaceSelector"], self.namespaces.get(pod.namespace, {}))

        return lambda pod: is_in_namespace(pod) and selects(peer.get("podSelector", {}), pod.labels)


def _block(block: Object, side: str) -> str:
    if ":" in block["cidr"]:
        return f"ip {side} 0.0.0.0/32"  # pods have no IPv6 addresses here
    exceptions = block.get("except", ())
    return f"ip {side} {block['cidr']}" + (f" ip {side} != {{ {', '.join(exceptions)} }}" if exceptions else "")


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector matches the labels."""
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_matches(item, labels) for item in selector.get("matchExpressions") or ())


def _matches(expression: Object, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _name(direction: _Direction, address: str) -> str:
    return f"{direction.name}-{address.replace('.', '-')}"


def _chain(name: str, rules: list[str]) -> str:
    return "\n".join([f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"])
