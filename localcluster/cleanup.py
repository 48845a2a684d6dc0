"""Remove everything of the cluster from the machine.

This works after a crash too, because it asks the kernel and relies on no files of its own.
"""

import shutil
import time
from pathlib import Path

from localcluster import settings
from localcluster.cgroups import remove_cgroups
from localcluster.mounts import unmount_below
from localcluster.network import remove_network
from localcluster.node_programs import CONTAINERD_STATE, DEVICE_PLUGINS
from localcluster.paths import RUN, STATE, cache_folder
from localcluster.processes import Process, find, find_in_cgroup, stop

_CNI_RESULTS = Path("/var/lib/cni")
_REAPING_SECONDS = 3
_CONTAINER_LOGS = Path("/var/log/containers")


def remove_pods() -> None:
    """Kill all pods and their shims, and remove their mounts."""
    shims = [process for process in find(STATE) if process.is_shim()]
    _kill([*shims, *find_in_cgroup(settings.NAME)])
    _remove_shim_sockets()
    unmount_below(CONTAINERD_STATE)


def remove_everything() -> None:
    """Remove all processes, mounts, interfaces, rules, cgroups and files of the cluster, except the caches."""
    is_ours = STATE.exists()  # otherwise kube-proxy's tables and the device plugins belong to another cluster
    _kill([*find(STATE), *find_in_cgroup(settings.NAME)])
    remove_pods()
    remove_network(with_kube_proxy=is_ours)
    for folder in (RUN, STATE, cache_folder() / "containerd"):
        unmount_below(folder)
    shutil.rmtree(RUN, ignore_errors=True)
    remove_cgroups()
    if is_ours:
        shutil.rmtree(DEVICE_PLUGINS, ignore_errors=True)
    _remove_foreign_files()
    shutil.rmtree(STATE, ignore_errors=True)  # last, so that a repeated `down` still recognizes this cluster's parts


def _kill(processes: list[Process]) -> None:
    """Kill the processes, and wait until init has reaped them."""
    stop(processes, grace=0)
    deadline = time.monotonic() + _REAPING_SECONDS
    while any(Path(f"/proc/{process.pid}").exists() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)


def _remove_shim_sockets() -> None:
    """Remove the shims' sockets, which lie in a folder shared with other users of containerd; each shim records its address."""
    for file in CONTAINERD_STATE.glob("io.containerd.runtime.v2.task/*/*/address"):
        Path(file.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def _remove_foreign_files() -> None:
    """Remove files in folders that kubelet and CNI hard-code."""
    for file in _CNI_RESULTS.glob("*/*"):
        if str(CONTAINERD_STATE) in file.read_text(errors="replace"):  # the path of the pod's network namespace
            file.unlink(missing_ok=True)
    for link in _CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(str(STATE)):
            link.unlink()
    for folder in (
        DEVICE_PLUGINS.parent,
        _CNI_RESULTS / "results",
        _CNI_RESULTS / "cache",
        _CNI_RESULTS,
        _CONTAINER_LOGS,
    ):
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
