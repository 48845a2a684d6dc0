"""Selection of kubectl, and its command lines."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import environment, kubectl
from localcluster.operator_install import remove_interrupted_release


@pytest.fixture(autouse=True)
def _clear_kubectl_cache() -> Iterator[None]:
    kubectl.kubectl_path.cache_clear()
    yield
    kubectl.kubectl_path.cache_clear()


def _program(folder: Path, script: str = "") -> Path:
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_the_link_to_kubectl_never_points_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools, program = tmp_path / "tools", _program(tmp_path / "own")
    for module in (kubectl, environment):
        monkeypatch.setattr(module, "TOOLS", tools)
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (tools, program.parent))))
    for _ in range(2):
        environment.link_tools(tmp_path / "bin")
        kubectl.kubectl_path.cache_clear()
        assert (tools / "kubectl").readlink() == program


def test_only_records_of_pending_releases_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = tmp_path / "arguments"
    program = _program(tmp_path / "own", f'printf "%s\\n" "$@" > {arguments}')
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    remove_interrupted_release(tmp_path / "kubeconfig")
    assert arguments.read_text().splitlines()[1:] == [
        "delete",
        "secrets",
        "--namespace=vott-train",
        "--selector=owner=helm,name=vott-train,status in (pending-install, pending-upgrade, pending-rollback)",
    ]
