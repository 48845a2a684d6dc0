"""The local cluster's CoreDNS configuration, queried directly."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcluster.child_programs import ChildPrograms
from localcluster.cluster_dns import SERVICE_ADDRESS, USER, coredns_program, ensure_cluster_dns
from localcluster.control_plane import ControlPlane
from localcluster.control_plane_programs import KUBERNETES_SERVICE
from localcluster.dns_query import address_of
from localcluster.go_programs import coredns
from localcluster.kubectl import kubectl, kubectl_json
from localcluster.ports import free_ports
from tests.support.waiting import wait_until

_HOST = "127.0.0.1"
_SERVING_ADDRESS = "10.244.0.1"  # an EndpointSlice may not name loopback


@dataclass(frozen=True)
class _DNS:
    control_plane: ControlPlane
    port: int

    def resolve(self, name: str) -> str | None:
        return address_of(f"{name}.svc.cluster.local", _HOST, self.port)


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_DNS]:
    folder, [port] = tmp_path_factory.mktemp("dns"), free_ports(1)
    programs = ChildPrograms(folder)
    with ControlPlane(controllers=True) as control_plane:
        ensure_cluster_dns(control_plane.kubeconfig, _SERVING_ADDRESS, port)
        kubeconfig = control_plane.user_kubeconfig(USER)
        no_resolvers = folder / "resolv.conf"
        programs.start(coredns_program(coredns(), folder, kubeconfig, _HOST, port, no_resolvers))
        yield _DNS(control_plane, port)
        programs.stop()


def test_services_are_resolved_by_name(dns: _DNS) -> None:
    assert dns.resolve("kube-dns.kube-system") == SERVICE_ADDRESS
    assert dns.resolve("kubernetes.default") == KUBERNETES_SERVICE


def test_an_unready_pod_is_resolved_by_name_once_it_has_an_address(dns: _DNS) -> None:
    kubeconfig, name = dns.control_plane.kubeconfig, "ring-1.ring.default"
    for manifest in (_headless_service("ring"), _pod("ring-1", "ring")):
        kubectl_json(kubeconfig, "create", manifest)
    assert dns.resolve(name) is None
    _give_address(kubeconfig, "ring-1", "10.244.0.9")
    wait_until("the pod's DNS record", lambda: dns.resolve(name) == "10.244.0.9", seconds=60)


def _headless_service(name: str) -> dict[str, object]:
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"app": name},
        "ports": [{"port": 29500}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _pod(name: str, service: str) -> dict[str, object]:
    spec = {"hostname": name, "subdomain": service, "containers": [{"name": "main", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": service}}, "spec": spec}


def _give_address(kubeconfig: Path, pod: str, address: str) -> None:
    """Report a pod's address as a kubelet does; the pod has no node and stays Pending."""
    status = json.dumps({"status": {"podIP": address, "podIPs": [{"ip": address}]}})
    kubectl(kubeconfig, "patch", "pod", pod, "--subresource=status", "--type=merge", f"--patch={status}")
