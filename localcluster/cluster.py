"""The local cluster (one per machine): start its programs, or restart those that fail or are outdated."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcluster import containerd, network_policy_engine, settings
from localcluster.azurite import azurite_program, connection_string
from localcluster.cgroups import ensure_cgroups
from localcluster.cleanup import remove_everything, remove_pods
from localcluster.cluster_dns import USER as DNS_USER
from localcluster.cluster_dns import coredns_program, ensure_cluster_dns
from localcluster.control_plane_programs import ControlPlanePrograms
from localcluster.errors import LocalClusterError
from localcluster.kubectl import kubectl
from localcluster.network import ensure_network
from localcluster.node_programs import NodePrograms
from localcluster.paths import GPUS, RUN, STATE, StateFolder
from localcluster.processes import Process
from localcluster.program import Program
from localcluster.progress import step
from localcluster.supervisor import Supervisor

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NODE_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Access:
    """The cluster's kubeconfig and storage account."""

    kubeconfig: Path
    storage_connection_string: str


class Cluster:
    """The programs of the cluster: etcd, control plane, node, DNS, network policies and Azurite."""

    def __init__(self, binaries: Path, coredns: Path, gpus: int) -> None:
        self._state = StateFolder(STATE).create()
        self._binaries = binaries
        self._coredns = coredns
        self._gpus = gpus
        self._supervisor = Supervisor(STATE, self._state.logs)
        self._control_plane = ControlPlanePrograms(
            binaries, self._state, settings.HOST_ADDRESS, settings.PORTS, settings.NAMESPACE
        )
        self._node = NodePrograms(binaries, self._state, self._control_plane)

    @property
    def access(self) -> Access:
        """How to reach the cluster once it runs."""
        storage = connection_string(settings.HOST_ADDRESS, settings.BLOB_PORT, settings.QUEUE_PORT)
        return Access(self._state.kubeconfig, storage)

    def running(self) -> dict[str, list[Process]]:
        """The running processes by program name."""
        return self._supervisor.running()

    def programs(self) -> list[Program]:
        """All programs in start order."""
        return [
            self._azurite(),
            self._control_plane.etcd(),
            self._control_plane.api_server(self._node.kubelet_client_flags()),
            self._control_plane.controller_manager(),
            self._control_plane.scheduler(),
            self._node.containerd(),
            self._node.kubelet(),
            self._node.kube_proxy(),
            self._node.device_plugin(self._gpus),
            self._cluster_dns(),
            self._policy_engine(),
        ]

    def start(self) -> None:
        """Start missing programs, restart those that don't work or have another configuration, and keep the others.

        Raises:
            LocalClusterError: A program doesn't start, or the node doesn't become ready.
        """
        with step("Start the cluster"):
            RUN.mkdir(mode=0o700, exist_ok=True)
            GPUS.write_text(str(self._gpus))
            ensure_network()
            ensure_cgroups()
            azurite, etcd, api_server, controllers, scheduler, runtime, *rest = self.programs()
            kubelet, proxy, plugin, dns, policies = rest
            with ThreadPoolExecutor() as pool:
                concurrent: list[Future[object]] = [
                    pool.submit(self._supervisor.ensure, azurite),
                    pool.submit(self._start_containerd, runtime),
                ]
                self._supervisor.ensure(etcd)
                self._supervisor.ensure(api_server)
                concurrent.extend(pool.submit(self._supervisor.ensure, each) for each in (controllers, scheduler))
                concurrent.append(pool.submit(self._start_dns, dns))
                concurrent.append(pool.submit(self._start_policy_engine, policies))
                for future in concurrent:
                    future.result()
            for program in (
                kubelet,
                plugin,
                proxy,
            ):  # kube-proxy becomes ready after the kubelet has registered the node
                self._supervisor.ensure(program)
            self._wait_for_node()

    def _start_containerd(self, program: Program) -> None:
        running = [process for process in self._supervisor.running().get(program.name, []) if not process.is_shim()]
        if running and all(process.fingerprint != program.fingerprint for process in running):
            remove_pods()  # it has another image store, so its pods can't be kept
        is_fresh = not (STATE / "kubelet").exists()
        if self._supervisor.ensure(program) and is_fresh:
            containerd.remove_containers()
        containerd.ensure_pause_image(self._binaries / "pause")

    def _start_dns(self, program: Program) -> None:
        ensure_cluster_dns(self.access.kubeconfig, settings.HOST_ADDRESS, settings.DNS_PORT)
        self._supervisor.ensure(program)

    def _cluster_dns(self) -> Program:
        kubeconfig = self._control_plane.write_kubeconfig("coredns", DNS_USER)
        address = (settings.HOST_ADDRESS, settings.DNS_PORT)
        return coredns_program(self._coredns, self._state.config, kubeconfig, *address)

    def _start_policy_engine(self, program: Program) -> None:
        network_policy_engine.ensure_permissions(self.access.kubeconfig)
        self._supervisor.ensure(program)

    def _policy_engine(self) -> Program:
        kubeconfig = self._control_plane.write_kubeconfig("policy-engine", network_policy_engine.USER)
        return network_policy_engine.policy_engine_program(kubeconfig)

    def _azurite(self) -> Program:
        ports = (settings.BLOB_PORT, settings.QUEUE_PORT, settings.TABLE_PORT)
        return azurite_program(settings.HOST_ADDRESS, *ports, self._state.root / "azurite")

    def _wait_for_node(self) -> None:
        """Wait until the node is ready and has the requested number of GPUs."""
        path = r"{.status.conditions[?(@.type=='Ready')].status} {.status.allocatable.nvidia\.com/gpu}"
        deadline = time.monotonic() + _NODE_TIMEOUT_SECONDS
        state = ""
        while time.monotonic() < deadline:
            try:
                state = kubectl(self.access.kubeconfig, "get", "node", settings.NODE, "-o", f"jsonpath={path}").strip()
            except LocalClusterError as error:  # not registered yet
                state = str(error)
            if state in {f"True {self._gpus}", *(("True",) if self._gpus == 0 else ())}:
                return
            time.sleep(0.1)
        raise LocalClusterError(
            f"The node was not ready with {self._gpus} GPUs after {_NODE_TIMEOUT_SECONDS} s (last state: {state})."
            f" See {self._state.logs}/kubelet.log."
        )


def remove_after_reboot() -> None:
    """Start over after a reboot: etcd writes without fsync, so its data may be corrupt."""
    recorded, current = STATE / "boot-id", _BOOT_ID.read_text()
    if STATE.exists() and (not recorded.exists() or recorded.read_text() != current):
        remove_everything()
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    recorded.write_text(current)
