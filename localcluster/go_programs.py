"""The programs built from Go sources: Kubernetes, etcd, kwok, Helm, the device plugin, CoreDNS, older control planes."""

import os
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.go_build import GoModule, built

_MAIN = GoModule(
    folder="go",
    cache_name="bin",
    contents="Kubernetes, etcd, kwok and Helm",
    minutes=25,
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
# separate, because it needs a newer Kubernetes client than Kubernetes itself
_COREDNS = GoModule(folder="go-coredns", cache_name="coredns", contents="CoreDNS", minutes=10)
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
_VERSION_VARIABLE = "VOTT_KUBERNETES"


def binaries() -> Path:
    """The folder of all programs except CoreDNS.

    Raises:
        LocalClusterError: The build failed (also for the functions below).
    """
    return built(_MAIN)


def coredns() -> Path:
    """CoreDNS with the plugins that the local cluster uses."""
    return built(_COREDNS) / "coredns"


def control_plane_binaries() -> Path:
    """The folder of kube-apiserver, kube-controller-manager and kube-scheduler.

    ``$VOTT_KUBERNETES`` selects another version than that of :func:`binaries`.

    Raises:
        LocalClusterError: The version is not available.
    """
    default = _minor_version(_MAIN)
    version = os.environ.get(_VERSION_VARIABLE) or default
    if version == default:
        return binaries()
    if version not in _OTHER_CONTROL_PLANES:
        available = ", ".join([*_OTHER_CONTROL_PLANES, default])
        raise LocalClusterError(f"{_VERSION_VARIABLE} is {version!r}, but the available versions are {available}")
    return built(_OTHER_CONTROL_PLANES[version])


def _minor_version(module: GoModule) -> str:
    """The module's Kubernetes version, such as ``1.36``."""
    version = module.required("k8s.io/kubernetes") or ""
    return version.removeprefix("v").rpartition(".")[0]
