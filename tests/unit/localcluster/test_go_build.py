"""Selection of Go modules and Kubernetes versions."""

from pathlib import Path

import pytest

from localcluster import go_programs
from localcluster.errors import LocalClusterError
from localcluster.go_build import GoModule


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_programs, "built", lambda module: Path(module.folder))


@pytest.mark.parametrize("version", [None, "", "1.36"])
def test_control_planes_have_the_pinned_version_by_default(
    version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOTT_KUBERNETES", raising=False)
    if version is not None:
        monkeypatch.setenv("VOTT_KUBERNETES", version)
    assert go_programs.control_plane_binaries() == go_programs.binaries() == Path("go")


def test_the_environment_selects_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_KUBERNETES", "1.34")
    assert go_programs.control_plane_binaries() == Path("go-1.34")


@pytest.mark.parametrize("wrong", ["1.2", "v1.34", "1.34.10", "newest"])
def test_the_error_for_an_unavailable_version_lists_the_available_ones(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_KUBERNETES", wrong)
    with pytest.raises(LocalClusterError, match=rf"'{wrong}', but the available versions are 1\.34, 1\.36$"):
        go_programs.control_plane_binaries()


def test_versions_are_read_from_the_module_file() -> None:
    module = GoModule(folder="go-1.34", cache_name="x", contents="x", minutes=1)
    version = module.required("k8s.io/kubernetes")
    assert version is not None
    assert version.startswith("v1.34.")
    assert module.required("k8s.io/absent") is None
