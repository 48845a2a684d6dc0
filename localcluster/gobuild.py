"""The programs that are built from source: Kubernetes, etcd, kwok, Helm, the device plugin, CoreDNS, and an older control plane."""

import os
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.gomodule import GoModule, built

_MAIN = GoModule(
    folder="go",
    cache_name="bin",
    contents="Kubernetes, etcd, kwok and Helm",
    minutes=12,
    program="cluster",
    parts=(
        "etcd",
        "gpu-device-plugin",
        "helm",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubelet",
        "kwok",
    ),
)
# a module of its own: its client of Kubernetes is newer than Kubernetes itself
_COREDNS = GoModule(folder="go-coredns", cache_name="coredns", contents="CoreDNS", minutes=3)
_OTHER_CONTROL_PLANES = {
    "1.34": GoModule(
        folder="go-1.34",
        cache_name="control-plane-1.34",
        contents="a control plane of Kubernetes 1.34",
        minutes=8,
        program="control-plane",
        parts=("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    )
}
_CHOICE = "VOTT_KUBERNETES"


def binaries() -> Path:
    """The folder of all programs but CoreDNS.

    Raises:
        LocalClusterError: the build failed; so do the functions below.
    """
    return built(_MAIN)


def coredns() -> Path:
    """CoreDNS, with the plugins that the local cluster uses."""
    return built(_COREDNS) / "coredns"


def control_plane_binaries() -> Path:
    """The folder of kube-apiserver, kube-controller-manager and kube-scheduler of the version that ``$VOTT_KUBERNETES`` names.

    Without it, those of :func:`binaries`.

    Raises:
        LocalClusterError: there is no such version here.
    """
    usual = _minor_version(_MAIN)
    chosen = os.environ.get(_CHOICE) or usual
    if chosen == usual:
        return binaries()
    if chosen not in _OTHER_CONTROL_PLANES:
        known = ", ".join([*_OTHER_CONTROL_PLANES, usual])
        raise LocalClusterError(f"{_CHOICE} is {chosen!r}, but the Kubernetes versions to choose from are: {known}")
    return built(_OTHER_CONTROL_PLANES[chosen])


def _minor_version(module: GoModule) -> str:
    """Such as ``1.36``."""
    version = module.required("k8s.io/kubernetes") or ""
    return version.removeprefix("v").rpartition(".")[0]
