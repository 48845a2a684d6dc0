"""Cluster DNS: CoreDNS on the host, behind the usual kube-dns Service."""

from pathlib import Path
from typing import Any

from localcluster.dns_query import address_of
from localcluster.files import write_if_changed
from localcluster.kubectl import kubectl_json
from localcluster.program import Program

CLUSTER_DOMAIN = "cluster.local"
SERVICE_ADDRESS = "10.96.0.10"
USER = "system:coredns"
_HOST_RESOLVERS = Path("/etc/resolv.conf")
# The cluster's own names are not cached, so that a pod's name resolves as soon as the pod has an address.
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
    """CoreDNS on one address. It forwards other names to the name servers in the file ``resolvers``.

    Args:
        folder: Where its configuration is written.
        kubeconfig: For :data:`USER`, whose permissions :func:`ensure_cluster_dns` creates.
    """
    forward = f"    forward . {resolvers}\n" if _has_name_servers(resolvers) else ""
    text = _COREFILE.format(port=port, host=host, domain=CLUSTER_DOMAIN, kubeconfig=kubeconfig, forward=forward)
    corefile = write_if_changed(folder / "Corefile", text)
    # it reads the name servers only when it starts
    config_files = (corefile, resolvers) if resolvers.exists() else (corefile,)
    command = (str(binary), "-conf", str(corefile))
    return Program("coredns", command, lambda: _has_services(host, port), f"{host}:{port}", config_files=config_files)


def ensure_cluster_dns(kubeconfig: Path, host: str, port: int) -> None:
    """Create the kube-dns Service, and the permissions that CoreDNS needs.

    Raises:
        LocalClusterError: The API server refused.
    """
    manifests = [_namespace(), *_service(host, port), *_permissions()]
    kubectl_json(kubeconfig, "apply", {"apiVersion": "v1", "kind": "List", "items": manifests})


def _has_services(host: str, port: int) -> bool:
    """Whether it answers and has read the cluster's Services."""
    try:
        return address_of(f"kube-dns.kube-system.svc.{CLUSTER_DOMAIN}", host, port) == SERVICE_ADDRESS
    except OSError:
        return False


def _has_name_servers(resolvers: Path) -> bool:
    """Whether the file names any: CoreDNS does not start with an empty one."""
    if not resolvers.exists():
        return False
    lines = [line.split() for line in resolvers.read_text().splitlines()]
    return any(len(fields) > 1 and fields[0] == "nameserver" for fields in lines)


def _namespace() -> dict[str, Any]:
    """kube-system: the API server creates it after its start, which may be too late for the Service."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}


def _service(host: str, port: int) -> list[dict[str, Any]]:
    """The Service and, because no pod backs it, its EndpointSlice."""
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


def _permissions() -> list[dict[str, Any]]:
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
