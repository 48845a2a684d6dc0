"""pyproject.toml has the version, and everything else repeats it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from vott_trainer.version import VERSION as TRAINER_VERSION

ROOT = Path(__file__).parents[2]
IMAGE = r"vott-train/(?:operator|trainer):([0-9][\w.-]*)"
PAGES = [path for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")) if re.search(IMAGE, path.read_text())]
PATTERNS = {
    "trainer-image/pyproject.toml": r'^version = "(.+)"$',
    "trainer-image/vott_trainer/version.py": r'^VERSION = "(.+)"$',
    "charts/vott-train/Chart.yaml": r"^(?:version|appVersion): (.+)$",
    "charts/vott-train/values.yaml": IMAGE,
    "manifests/traind/compose.yaml": IMAGE,
    "manifests/traind/vott-traind.service": IMAGE,
    **{str(page.relative_to(ROOT)): IMAGE for page in PAGES},
}


def project_version(root: Path) -> str:
    version: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return version


def repeated_versions(root: Path) -> dict[str, set[str]]:
    """The versions that each file mentions."""
    return {file: set(re.findall(text, (root / file).read_text(), re.MULTILINE)) for file, text in PATTERNS.items()}


@pytest.mark.parametrize("file", PATTERNS)
def test_every_file_repeats_the_version_of_the_project(file: str) -> None:
    assert repeated_versions(ROOT)[file] == {project_version(ROOT)}, "run `make generate`"


def test_the_trainer_reports_the_version_of_the_project() -> None:
    assert project_version(ROOT) == TRAINER_VERSION


def test_pages_with_commands_to_install_are_found() -> None:
    assert {"README.md", "administration.md", "aks.md"} <= {page.name for page in PAGES}


def test_make_version_updates_every_file(tmp_path: Path) -> None:
    for file in ("Makefile", "pyproject.toml", *PATTERNS):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{project_version(ROOT)}"', 'version = "7.8.9-rc.1"', 1))

    subprocess.run(["make", "version"], cwd=tmp_path, check=True, capture_output=True)

    assert repeated_versions(tmp_path) == {file: {"7.8.9-rc.1"} for file in PATTERNS}
