"""What is installed is what was locked: every package by its hash, in the environment, the images and the tools."""

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
def test_every_package_is_pinned_with_its_hashes_and_nothing_else_is_said(lock: Path) -> None:
    assert PIN.sub("", lock.read_text()) == ""


@pytest.mark.parametrize("wanted", [*ROOT.glob("requirements/*.in"), *ROOT.glob("*/requirements*.in")], ids=name_of)
def test_every_wish_is_locked(wanted: Path) -> None:
    assert wanted.with_suffix(".txt") in LOCKS


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name_of)
def test_an_image_installs_only_what_has_a_hash_or_was_built_there(dockerfile: Path) -> None:
    installs = INSTALL.findall(dockerfile.read_text())
    assert installs
    for install in installs:
        assert "--require-hashes -r " in install or install.endswith("--no-deps /build/dist/*.whl")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name_of)
def test_an_image_fetches_nothing_past_the_package_manager(dockerfile: Path) -> None:
    assert not re.search(r"^ADD |\b(curl|wget|git|apt-get install|npm)\b", dockerfile.read_text(), re.MULTILINE)


def test_the_makefile_installs_only_what_has_a_hash() -> None:
    installs = INSTALL.findall((ROOT / "Makefile").read_text())
    assert installs
    assert [install for install in installs if "--require-hashes -r " not in install] == []


@pytest.mark.parametrize("module", GO_MODULES, ids=name_of)
def test_go_programs_are_built_from_modules_with_sums(module: Path) -> None:
    required = set(re.findall(r"^\s*(?:require )?([a-z0-9.-]+\.[a-z]+/\S+) v", module.read_text(), re.MULTILINE))
    summed = {line.split()[0] for line in (module.parent / "go.sum").read_text().splitlines()}
    replaced = set(re.findall(r"^\s*(?:replace )?(\S+) => ", module.read_text(), re.MULTILINE))
    assert required
    assert required - summed - replaced == set()


def test_npm_packages_are_pinned_with_their_hashes() -> None:
    lock = json.loads((ROOT / "localcluster/azurite/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
