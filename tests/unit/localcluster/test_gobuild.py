"""Which programs are built and chosen."""

from pathlib import Path

import pytest

from localcluster import gobuild
from localcluster.errors import LocalClusterError
from localcluster.gomodule import GoModule


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "built", lambda module: Path(module.folder))


@pytest.mark.parametrize("chosen", [None, "", "1.36"])
def test_control_planes_are_of_the_pinned_kubernetes_unless_another_is_chosen(
    chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOTT_KUBERNETES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("VOTT_KUBERNETES", chosen)
    assert gobuild.control_plane_binaries() == gobuild.binaries() == Path("go")


def test_another_kubernetes_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_KUBERNETES", "1.34")
    assert gobuild.control_plane_binaries() == Path("go-1.34")


@pytest.mark.parametrize("wrong", ["1.2", "v1.34", "1.34.10", "newest"])
def test_a_kubernetes_that_is_not_there_is_refused_with_those_that_are(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_KUBERNETES", wrong)
    with pytest.raises(LocalClusterError, match=rf"'{wrong}', but the Kubernetes .* choose from are: 1\.34, 1\.36$"):
        gobuild.control_plane_binaries()


def test_versions_are_read_from_the_module_file() -> None:
    module = GoModule(folder="go-1.34", cache_name="x", contents="x", minutes=1)
    version = module.required("k8s.io/kubernetes")
    assert version is not None
    assert version.startswith("v1.34.")
    assert module.required("k8s.io/absent") is None
