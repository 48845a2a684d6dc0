"""The bill of materials of an image is valid CycloneDX and complete."""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sbom.components import LinkedComponent
from sbom.debian_packages import debian_packages
from sbom.document import document
from sbom.python_packages import interpreter, python_packages
from sbom.weights import weights

PROJECT = {"name": "cats", "version": "1.2", "license": "MIT", "description": "Sees cats"}
HASHES = ["ab" * 32, "cd" * 32]
LOCK = "".join(
    f"{pin} \\\n" + " \\\n".join(f"    --hash=sha256:{digest}" for digest in HASHES) + "\n"
    for pin in ("Pretty.Printer==2.0", "colours==1.0")
)
STATUS = """\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Version: 2.36-9+deb12u14
Depends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~) | libcrypt2
Description: GNU C Library: Shared libraries
 Contains the standard libraries.

Package: libcrypt1
Status: install ok installed
Maintainer: Marco d'Itri <md@linux.it>
Architecture: amd64
Version: 1:4.4.33-2
Description: libcrypt shared library

Package: removed
Status: deinstall ok config-files
Maintainer: none
Architecture: all
Version: 1
Description: removed

"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment with two packages and the project itself."""
    folder = tmp_path / "venv"
    packages = folder / "lib/python3.11/site-packages"
    _install(packages, "pretty_printer", "2.0", "License-Expression: MIT", "Requires-Dist: colours>=1")
    _install(packages, "colours", "1.0", "License: UNKNOWN", "Classifier: License :: OSI Approved :: BSD License")
    _install(packages, "cats", "1.2")
    (folder / "pyvenv.cfg").write_text("home = /usr/local/bin\nversion = 3.11.7\n")
    return folder


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(LOCK)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Debian with two installed packages and a removed one."""
    files = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/libcrypt1/copyright": "Files: *\nLicense: LGPL-2.1+\n\nFiles: x\nLicense: public-domain\n Text\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def _install(packages: Path, name: str, version: str, *more: str) -> None:
    folder = packages / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *more]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


def parsed_document(components: Sequence[LinkedComponent]) -> dict[str, Any]:
    text = document(PROJECT, components)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom: dict[str, Any] = json.loads(text)
    return bom


def component(bom: dict[str, Any], name: str) -> dict[str, Any]:
    named: dict[str, Any] = next(item for item in bom["components"] if item["name"] == name)
    return named


def test_python_packages_have_version_licence_and_the_locks_hashes(venv: Path, lock: Path) -> None:
    bom = parsed_document(python_packages(venv, lock, own="cats"))
    assert [item["name"] for item in bom["components"]] == ["colours", "pretty-printer"]
    printer = component(bom, "pretty-printer")
    assert (printer["purl"], printer["licenses"]) == ("pkg:pypi/pretty-printer@2.0", [{"license": {"id": "MIT"}}])
    (published,) = printer["externalReferences"]
    assert sorted(digest["content"] for digest in published["hashes"]) == HASHES
    assert component(bom, "colours")["licenses"] == [{"license": {"name": "BSD License"}}]


def test_a_package_missing_in_the_lock_is_an_error(venv: Path, lock: Path) -> None:
    _install(venv / "lib/python3.11/site-packages", "stranger", "6.6")
    with pytest.raises(ValueError, match=r"stranger is installed in .*/venv but missing in .*/requirements\.txt"):
        python_packages(venv, lock, own="cats")


def test_the_interpreter_is_listed_unless_it_is_a_debian_package(venv: Path) -> None:
    assert component(parsed_document(interpreter(venv)), "python")["version"] == "3.11.7"
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    assert interpreter(venv) == []


def test_debian_packages_have_system_maintainer_and_licences(root: Path) -> None:
    bom = parsed_document(debian_packages(root))
    assert [item["name"] for item in bom["components"]] == ["libc6", "libcrypt1", "debian"]
    crypt = component(bom, "libcrypt1")
    assert crypt["purl"] == "pkg:deb/debian/libcrypt1@1:4.4.33-2?arch=amd64&distro=debian-12"
    assert crypt["supplier"]["name"] == "Marco d'Itri <md@linux.it>"
    assert crypt["licenses"] == [{"license": {"id": "LGPL-2.1+"}}, {"license": {"name": "public-domain"}}]


def test_a_base_without_dpkg_has_no_debian_packages(tmp_path: Path) -> None:
    assert debian_packages(tmp_path) == []


def test_dependencies_start_at_the_image(venv: Path, lock: Path, root: Path) -> None:
    bom = parsed_document([*python_packages(venv, lock, own="cats"), *debian_packages(root)])
    dependencies = {item["ref"]: item.get("dependsOn", []) for item in bom["dependencies"]}
    assert dependencies["pkg:pypi/pretty-printer@2.0"] == ["pkg:pypi/colours@1.0"]
    libc = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
    assert dependencies[libc] == ["pkg:deb/debian/libcrypt1@1:4.4.33-2?arch=amd64&distro=debian-12"]
    assert dependencies["cats"] == ["debian-12", libc, "pkg:pypi/pretty-printer@2.0"]


def test_baked_weights_have_origin_and_hash(tmp_path: Path) -> None:
    metadata = {"architecture": "fcos", "labels": [], "origin": "https://models.example/fcos.pth", "sha256": "ef" * 32}
    header = json.dumps({"__metadata__": {"vott": json.dumps(metadata)}}).encode()
    (tmp_path / "fcos.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    model = component(parsed_document(weights(tmp_path)), "fcos")
    assert (model["type"], model["version"], len(model["hashes"])) == ("machine-learning-model", "ef" * 32, 1)
    assert {"name": "vott:origin", "value": metadata["origin"]} in model["properties"]


def test_the_command_writes_the_bill_of_materials(venv: Path, lock: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "cats"\nversion = "1.2"\n')
    options = [
        f"--project={tmp_path}/pyproject.toml",
        f"--venv={venv}",
        f"--lock={lock}",
        f"--out={tmp_path}/out/bom.json",
    ]
    command = [sys.executable, "-m", "sbom", *options]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], env={"PATH": sysconfig.get_path("scripts")})
    bom = json.loads((tmp_path / "out/bom.json").read_text())
    assert (bom["specVersion"], bom["metadata"]["component"]["name"]) == ("1.6", "cats")
    assert component(bom, "colours")["version"] == "1.0"
