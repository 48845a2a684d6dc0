"""The command ``status``: health of each component."""

from dataclasses import dataclass

from localcluster import containerd, settings
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from localcluster.kubectl import kubectl
from localcluster.network import network_exists

_COLUMNS = "custom-columns=A:.status.conditions[?(@.type=='Ready')].status,B:.status.allocatable.nvidia\\.com/gpu,C:.status.nodeInfo.kubeletVersion"


@dataclass(frozen=True)
class Line:
    """State of one component."""

    name: str
    is_healthy: bool
    pid: str
    detail: str


def report(cluster: Cluster) -> list[Line]:
    """One line for the network, each program, the node and the images."""
    running = cluster.running()
    lines = [Line("network", network_exists(), "", f"{settings.BRIDGE} {settings.HOST_ADDRESS}")]
    for program in cluster.programs():
        pids = [str(process.pid) for process in running.get(program.name, []) if not process.is_shim()]
        lines.append(Line(program.name, bool(pids) and program.is_ready(), " ".join(pids) or "-", program.address))
    return [*lines, _node(cluster), _images()]


def table(lines: list[Line]) -> str:
    """The lines as a table."""
    rows = [
        ("COMPONENT", "STATE", "PID", "DETAIL"),
        *((line.name, "ok" if line.is_healthy else "DOWN", line.pid, line.detail) for line in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def _node(cluster: Cluster) -> Line:
    try:
        ready, gpus, version = kubectl(
            cluster.access.kubeconfig,
            "get",
            "node",
            settings.NODE,
            "--no-headers",
            "--request-timeout=3s",
            "-o",
            _COLUMNS,
        ).split()
    except LocalClusterError as error:
        return Line("node", False, "", str(error).splitlines()[-1])
    return Line("node", ready == "True", "", f"{settings.NODE} {version}, {gpus} x {settings.GPU_RESOURCE}")


def _images() -> Line:
    try:
        names = [
            image.removeprefix("localhost/vott-train/")
            for image in containerd.images()
            if image.startswith("localhost/vott-train/")
        ]
    except LocalClusterError as error:
        return Line("images", False, "", str(error).splitlines()[-1])
    return Line("images", True, "", ", ".join(names))
