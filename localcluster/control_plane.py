"""A private control plane without nodes for tests; needs no root, and any number can run concurrently."""

import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from localcluster.child_programs import ChildPrograms
from localcluster.control_plane_programs import ControlPlanePrograms, Ports
from localcluster.go_programs import binaries, control_plane_binaries
from localcluster.kubectl import kubectl, kubectl_json, wait_for_service_account
from localcluster.paths import SOURCES, StateFolder
from localcluster.ports import free_ports
from localcluster.program import Program

_HOST = "127.0.0.1"
_KWOK_ANNOTATION = "kwok.x-k8s.io/node=fake"
ETCD, API_SERVER = "etcd", "kube-apiserver"


class ControlPlane:
    """etcd and an API server with TLS and RBAC on free loopback ports, and optionally more programs.

    Use it as a context manager, or call :meth:`stop`. All programs end with this process at the latest.
    ``$VOTT_KUBERNETES`` selects another version of Kubernetes, see :func:`control_plane_binaries`.

    Args:
        controllers: Run kube-controller-manager (creates pods for Jobs, garbage-collects dependents).
        scheduler: Run kube-scheduler.
        simulated_nodes: Run kwok with this many nodes; ``kwok-stages.yaml`` describes how it simulates pods.
        gpus_per_node: ``nvidia.com/gpu`` of each simulated node.

    Raises:
        LocalClusterError: A program can't be built, or doesn't start.
    """

    def __init__(
        self, *, controllers: bool = False, scheduler: bool = False, simulated_nodes: int = 0, gpus_per_node: int = 8
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vott-control-plane-")
        self._state = StateFolder(Path(self._folder.name)).create()
        self._binaries = binaries()
        kubernetes = control_plane_binaries()
        self._parts = ControlPlanePrograms(
            self._binaries, self._state, _HOST, Ports(*free_ports(5)), kubernetes=kubernetes
        )
        self._programs = ChildPrograms(self._state.logs)
        try:
            self._start(controllers, scheduler, simulated_nodes, gpus_per_node)
        except BaseException:
            self.stop()
            raise

    def _start(self, controllers: bool, scheduler: bool, simulated_nodes: int, gpus_per_node: int) -> None:
        self._programs.start(self._parts.etcd(), self._parts.api_server())
        clients = [self._parts.controller_manager()] if controllers else []
        clients += [self._parts.scheduler()] if scheduler else []
        clients += [self._kwok()] if simulated_nodes else []
        self._programs.start(*clients)
        if controllers:
            wait_for_service_account(self.kubeconfig)
        if simulated_nodes:
            kubectl_json(self.kubeconfig, "apply", _nodes(simulated_nodes, gpus_per_node))
            kubectl(self.kubeconfig, "wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._parts.server

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self._parts.kubeconfig

    @property
    def programs(self) -> list[str]:
        """Program names for :meth:`kill`, :meth:`restart` and :meth:`log`."""
        return self._programs.names

    def user_kubeconfig(self, user: str, groups: list[str] | None = None) -> Path:
        """A kubeconfig for another user, to test RBAC."""
        return self._parts.write_kubeconfig(f"user-{user.replace(':', '-')}", user, groups)

    def kill(self, program: str, signal_: signal.Signals = signal.SIGKILL) -> None:
        """Kill a program like a crash; SIGSTOP makes it hang, SIGCONT resumes it."""
        self._programs.kill(program, signal_)

    def restart(self, program: str) -> None:
        """Restart a program with the same port and data, and wait until it is ready."""
        self._programs.restart(program)

    def log(self, program: str) -> str:
        """The output of a program."""
        return self._programs.log(program).read_text(errors="replace")

    def stop(self) -> None:
        """Stop all programs and delete their data."""
        self._programs.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _kwok(self) -> Program:
        kubeconfig = self._parts.write_kubeconfig("kwok", "kwok", ["system:masters"])
        flags = ["--kubeconfig", kubeconfig, "--config", SOURCES / "kwok-stages.yaml", "--node-ip", _HOST]
        command = (
            str(self._binaries / "kwok"),
            *map(str, flags),
            "--manage-nodes-with-annotation-selector",
            _KWOK_ANNOTATION,
        )
        return Program("kwok", command, lambda: True, environment={"HOME": str(self._state.root)})


def _nodes(count: int, gpus: int) -> dict[str, object]:
    resources = {
        "cpu": "64",
        "memory": "512Gi",
        "ephemeral-storage": "16Ti",
        "pods": "1000",
        "nvidia.com/gpu": str(gpus),
    }
    annotation, _, value = _KWOK_ANNOTATION.partition("=")
    items = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"simulated-{index}", "annotations": {annotation: value}},
            "status": {"capacity": resources, "allocatable": resources},
        }
        for index in range(count)
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
