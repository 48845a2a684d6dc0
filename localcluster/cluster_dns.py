"""Cluster DNS: CoreDNS on the host, which pods find at the address where every cluster has it."""

from pathlib import Path
from typing import Any

from localcluster.dns_query import address_of
from localcluster.files import write_if_changed
from localcluster.kubectl import kubectl_json
from localcluster.processes import Program

CLUSTER_DOMAIN = "cluster.local"
SERVICE_ADDRESS = "10.96.0.10"
USER = "system:coredns"
_HOST_RESOLVERS = Path("/etc/resolv.conf")
# No caching of the cluster's own names: who asks for a pod before that has an address is to find it as soon as it has.
_COREFILE = """.:{port} {{
    bind {host}
    errors
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        fallthrough in-addr.arpa ip6.arpa
    }}
    cache 30 {{
        disable success {domain}
        disable denial {domain}
    }}
{forward}}}
"""


def coredns_program(
    binary: Path, folder: Path, kubeconfig: Path, host: str, port: int, resolvers: Path = _HOST_RESOLVERS
) -> Program:
    """CoreDNS on one address; names outside the cluster are asked of the name servers in the file ``resolvers``.

    Args:
        folder: where its configuration is written.
        kubeconfig: of :data:`USER`, which :func:`ensure_cluster_dns` gives its rights.
    """
    forward = f"    forward . {resolvers}\n" if _names_servers(resolvers) else ""
    text = _COREFILE.format(port=port, host=host, domain=CLUSTER_DOMAIN, kubeconfig=kubeconfig, forward=forward)
    corefile = write_if_changed(folder / "Corefile", text)
    # it reads the name servers at its start only
    config_files = (corefile, resolvers) if resolvers.exists() else (corefile,)
    command = (str(binary), "-conf", str(corefile))
    return Program("coredns", command, lambda: _knows_itself(host, port), f"{host}:{port}", config_files=config_files)


def ensure_cluster_dns(kubeconfig: Path, host: str, port: int) -> None:
    """Make the Service whose address pods ask, and let CoreDNS read what it answers from.

    Raises:
        LocalClusterError: the API server refuses.
    """
    manifests = [_namespace(), *_service(host, port), *_rights()]
    kubectl_json(kubeconfig, "apply", {"apiVersion": "v1", "kind": "List", "items": manifests})


def _knows_itself(host: str, port: int) -> bool:
    """Whether it answers, and has read the cluster's services."""
    try:
        return address_of(f"kube-dns.kube-system.svc.{CLUSTER_DOMAIN}", host, port) == SERVICE_ADDRESS
    except OSError:
        return False


def _names_servers(resolvers: Path) -> bool:
    """Whether there is one to ask: CoreDNS does not start with a file that names none."""
    if not resolvers.exists():
        return False
    lines = [line.split() for line in resolvers.read_text().splitlines()]
    return any(len(words) > 1 and words[0] == "nameserver" for words in lines)


def _namespace() -> dict[str, Any]:
    """The API server makes it soon after its start, which may be too late for what goes into it."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}


def _service(host: str, port: int) -> list[dict[str, Any]]:
    """The Service and, since no pod serves it, its one address."""
    protocols = {"dns": "UDP", "dns-tcp": "TCP"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": SERVICE_ADDRESS,
            "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in protocols.items()],
        },
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "kubernetes.io/service-name": "kube-dns",
                "endpointslice.kubernetes.io/managed-by": "localcluster",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host]}],
        "ports": [{"name": name, "port": port, "protocol": protocol} for name, protocol in protocols.items()],
    }
    return [service, slice_]


def _rights() -> list[dict[str, Any]]:
    verbs = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": USER}, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
    }
    return [role, binding]
