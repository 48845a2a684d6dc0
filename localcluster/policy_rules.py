"""NetworkPolicies as rules for nft. Pure.

Other clusters' networks enforce NetworkPolicies by programs that are container images; the plain bridge of this one has none.
As those do, these rules decide on the address that a Service's address was replaced by, and let the node itself reach its pods.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
_ENDED = ("Succeeded", "Failed")  # their addresses may be others' by now


@dataclass(frozen=True)
class Pod:
    """A pod that has an address of its own."""

    namespace: str
    labels: dict[str, str]
    address: str


@dataclass(frozen=True)
class _Direction:
    name: str  # in nft's names
    field: str  # of a policy's spec
    peers: str  # of a rule
    pod: str  # the side of a packet that the policy's pod is on
    peer: str  # and the other


_DIRECTIONS = (
    _Direction("egress", "egress", "to", "saddr", "daddr"),
    _Direction("ingress", "ingress", "from", "daddr", "saddr"),
)


def ruleset(table: str, policies: Iterable[Object], pods: Iterable[Object], namespaces: Iterable[Object]) -> str:
    """What `nft -f` makes the table anew from, at one blow.

    Args:
        table: its name, in nft's family ip.
        policies, pods, namespaces: all of the cluster, as its API gives them.
    """
    known = [pod for item in pods if (pod := _pod(item))]
    labels = {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in namespaces}
    world, chains, jumps = _World(known, labels), list[str](), list[str]()
    for direction in _DIRECTIONS:
        made = {pod.address: _rules(direction, pod, list(policies), world) for pod in known}
        held = {address: rules for address, rules in made.items() if rules is not None}
        chains += [_chain(_name(direction, address), rules) for address, rules in held.items()]
        if held:
            verdicts = ", ".join(f"{address} : jump {_name(direction, address)}" for address in held)
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


def _rules(direction: _Direction, pod: Pod, policies: list[Object], world: "_World") -> list[str] | None:
    """What the pod may do, and the refusal of the rest; None where no policy holds it."""
    holding = [policy for policy in policies if _holds(direction, policy, pod)]
    if not holding:
        return None
    allowed = [
        text
        for policy in holding
        for rule in policy["spec"].get(direction.field) or ()
        for text in _allowed(direction, rule, policy["metadata"]["namespace"], world)
    ]
    return [*dict.fromkeys(allowed), "reject with icmp admin-prohibited"]


def _holds(direction: _Direction, policy: Object, pod: Pod) -> bool:
    spec = policy["spec"]
    types = [name.lower() for name in spec.get("policyTypes", ())]
    same_namespace = policy["metadata"]["namespace"] == pod.namespace
    return direction.name in types and same_namespace and selects(spec["podSelector"], pod.labels)


def _allowed(direction: _Direction, rule: Object, namespace: str, world: "_World") -> list[str]:
    """One rule of nft for each peer and port."""
    given = rule.get(direction.peers)
    peers = world.matches(given, namespace, direction.peer) if given else [""]
    ports = [_port(port) for port in rule["ports"]] if rule.get("ports") else [""]
    return [" ".join(filter(None, (peer, port, "return"))) for peer in peers for port in ports]


def _port(port: Object) -> str:
    protocol, first = port.get("protocol", "TCP").lower(), port.get("port")
    if first is None:
        return f"meta l4proto {protocol}"
    if not isinstance(first, int):
        raise NotImplementedError(f"a NetworkPolicy names the port {first!r}; this cluster only knows numbers")
    return f"{protocol} dport {first}" + (f"-{port['endPort']}" if "endPort" in port else "")


@dataclass(frozen=True)
class _World:
    pods: list[Pod]
    namespaces: dict[str, dict[str, str]]

    def matches(self, peers: list[Object], namespace: str, side: str) -> list[str]:
        """nft's expression of each peer that there is."""
        blocks = [_block(peer["ipBlock"], side) for peer in peers if "ipBlock" in peer]
        chosen = [self._chooser(peer, namespace) for peer in peers if "ipBlock" not in peer]
        addresses = [pod.address for pod in self.pods if any(choose(pod) for choose in chosen)]
        return blocks + ([f"ip {side} {{ {', '.join(addresses)} }}"] if addresses else [])

    def _chooser(self, peer: Object, namespace: str) -> Callable[[Pod], bool]:
        def is_there(pod: Pod) -> bool:
            if "namespaceSelector" not in peer:
                return pod.namespace == namespace
            return selects(peer["namespaceSelector"], self.namespaces.get(pod.namespace, {}))

        return lambda pod: is_there(pod) and selects(peer.get("podSelector", {}), pod.labels)


def _block(block: Object, side: str) -> str:
    if ":" in block["cidr"]:
        return f"ip {side} 0.0.0.0/32"  # pods have no such addresses here
    excepted = block.get("except", ())
    return f"ip {side} {block['cidr']}" + (f" ip {side} != {{ {', '.join(excepted)} }}" if excepted else "")


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector selects what has those labels."""
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
