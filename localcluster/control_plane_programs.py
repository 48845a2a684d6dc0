"""Command lines of etcd, API server, controller manager and scheduler, for the local cluster and for private control planes."""

from dataclasses import dataclass
from pathlib import Path

from localcluster.http_probe import answers
from localcluster.paths import StateFolder
from localcluster.pki import Authority, write_kubeconfig
from localcluster.program import Program

SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Ports of one control plane. Only the API server listens on more than loopback."""

    api_server: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int


class ControlPlanePrograms:
    """Keys, kubeconfigs and command lines of one control plane.

    Args:
        binaries: Folder of the programs.
        state: Folder of keys, kubeconfigs and data.
        host: Address of the API server.
        ports: Ports of all programs.
        namespace: Default namespace in the administrator's kubeconfig.
        kubernetes: Folder of the programs of another Kubernetes version.
    """

    def __init__(
        self,
        binaries: Path,
        state: StateFolder,
        host: str,
        ports: Ports,
        namespace: str = "",
        *,
        kubernetes: Path | None = None,
    ) -> None:
        self._binaries = binaries
        self._kubernetes = kubernetes or binaries
        self._state = state
        self._host = host
        self._ports = ports
        self.server = f"https://{host}:{ports.api_server}"
        self.authority = Authority(state.pki)
        self.kubeconfig = self.write_kubeconfig("admin", "admin", ["system:masters"], namespace)

    def write_kubeconfig(self, file: str, user: str, groups: list[str] | None = None, namespace: str = "") -> Path:
        """Sign a client certificate, and write a kubeconfig that contains it."""
        client = self.authority.client(file, user, groups or [])
        path = self._state.root / f"{file}.kubeconfig"
        return write_kubeconfig(path, self.server, self.authority, client, namespace)

    def etcd(self) -> Program:
        """etcd without fsync: its data need not survive a power failure."""
        client, peer = (f"http://{_LOOPBACK}:{port}" for port in (self._ports.etcd, self._ports.etcd_peer))
        flags = {
            "data-dir": str(self._state.etcd),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        return self._program("etcd", flags, client, f"{client}/health")

    def api_server(self, extra: dict[str, str] | None = None) -> Program:
        """kube-apiserver with its default admission plugins (Pod Security and ValidatingAdmissionPolicy among them)."""
        hosts = dict.fromkeys(
            [self._host, _LOOPBACK, "localhost", KUBERNETES_SERVICE, "kubernetes.default.svc", "kubernetes.default"]
        )
        serving = self.authority.server("kube-apiserver", list(hosts))
        signing_key = str(self.authority.signing_key("service-accounts"))
        flags = {
            "etcd-servers": f"http://{_LOOPBACK}:{self._ports.etcd}",
            "bind-address": self._host,
            "advertise-address": self._host,
            "secure-port": str(self._ports.api_server),
            "tls-cert-file": str(serving.certificate),
            "tls-private-key-file": str(serving.key),
            "client-ca-file": str(self.authority.certificate),
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": signing_key,
            "service-account-signing-key-file": signing_key,
            "service-cluster-ip-range": SERVICE_RANGE,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "allow-privileged": "true",
            "shutdown-delay-duration": "0s",
            **(extra or {}),
        }
        return self._program("kube-apiserver", flags, self.server, f"{self.server}/readyz")

    def controller_manager(self) -> Program:
        """kube-controller-manager with its default controllers, all acting as administrators.

        A service account for each controller would start seconds later and give up while the API server is away.
        """
        kubeconfig = self.write_kubeconfig("controller-manager", "system:kube-controller-manager", ["system:masters"])
        flags = {
            "kubeconfig": str(kubeconfig),
            "service-account-private-key-file": str(self.authority.signing_key("service-accounts")),
            "root-ca-file": str(self.authority.certificate),
            "leader-elect": "false",
            "bind-address": _LOOPBACK,
            "secure-port": str(self._ports.controller_manager),
            # The default of 20 requests per second would be the bottleneck of all tests.
            "kube-api-qps": "200",
            "kube-api-burst": "400",
            **self._loopback_serving("controller-manager"),
        }
        return self._program("kube-controller-manager", flags, *self._loopback_probe(self._ports.controller_manager))

    def scheduler(self) -> Program:
        """kube-scheduler."""
        kubeconfig = str(self.write_kubeconfig("scheduler", "system:kube-scheduler"))
        flags = {
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "bind-address": _LOOPBACK,
            "secure-port": str(self._ports.scheduler),
            **self._loopback_serving("scheduler"),
        }
        return self._program("kube-scheduler", flags, *self._loopback_probe(self._ports.scheduler))

    def _loopback_serving(self, file: str) -> dict[str, str]:
        pair = self.authority.server(f"{file}-serving", [_LOOPBACK])
        return {"tls-cert-file": str(pair.certificate), "tls-private-key-file": str(pair.key)}

    def _loopback_probe(self, port: int) -> tuple[str, str]:
        address = f"https://{_LOOPBACK}:{port}"
        return address, f"{address}/healthz"

    def _program(self, name: str, flags: dict[str, str], address: str, probe: str) -> Program:
        folder = self._binaries if name == "etcd" else self._kubernetes
        command = (str(folder / name), *(f"--{flag}={value}" for flag, value in flags.items()))
        certificate = self.authority.certificate
        return Program(name, command, lambda: answers(probe, certificate), address)
