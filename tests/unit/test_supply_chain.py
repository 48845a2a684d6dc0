"""Every package is pinned by hash: in the environment, the images and the tools."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("*/requirements*.txt"), ROOT / "localcluster/tools.txt"])
DOCKERFILES = [ROOT / "operator/Dockerfile", ROOT / "trainer-image/Dockerfile"]
GO_MODULES = sorted(ROOT.glob("localcluster/*/go.mod"))
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ]+( ; .+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n?")
INSTALL = re.compile(r"\bpip install\b.*")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_file_has_only_packages_pinned_by_hash(lock: Path) -> None:
    assert PIN.sub("", lock.read_text()) == ""


@pytest.mark.parametrize(
    "requirements", [*ROOT.glob("requirements/*.in"), *ROOT.glob("*/requirements*.in")], ids=name_of
)
def test_every_requirements_file_has_a_lock_file(requirements: Path) -> None:
    assert requirements.with_suffix(".txt") in LOCKS


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name_of)
def test_an_image_installs_only_packages_pinned_by_hash_or_built_in_it(dockerfile: Path) -> None:
    installs = INSTALL.findall(dockerfile.read_text())
    assert installs
    for install in installs:
        assert "--require-hashes -r " in install or install.endswith("--no-deps /build/dist/*.whl")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name_of)
def test_an_image_downloads_nothing_but_python_packages(dockerfile: Path) -> None:
    assert not re.search(r"^ADD |\b(curl|wget|git|apt-get install|npm)\b", dockerfile.read_text(), re.MULTILINE)


def test_the_makefile_installs_only_packages_pinned_by_hash() -> None:
    installs = INSTALL.findall((ROOT / "Makefile").read_text())
    assert installs
    assert [install for install in installs if "--require-hashes -r " not in install] == []


@pytest.mark.parametrize("module", GO_MODULES, ids=name_of)
def test_every_go_module_has_a_checksum(module: Path) -> None:
    required = set(re.findall(r"^\s*(?:require )?([a-z0-9.-]+\.[a-z]+/\S+) v", module.read_text(), re.MULTILINE))
    summed = {line.split()[0] for line in (module.parent / "go.sum").read_text().splitlines()}
    replaced = set(re.findall(r"^\s*(?:replace )?(\S+) => ", module.read_text(), re.MULTILINE))
    assert required
    assert required - summed - replaced == set()


def test_every_npm_package_has_a_checksum() -> None:
    lock = json.loads((ROOT / "localcluster/azurite/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
