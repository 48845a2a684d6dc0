"""Contents of both images: a complete bill of materials, no installer, no secret, no extra permission."""

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from localcluster.images import BAKED_WEIGHTS, build_images
from localcluster.sbom import FOLDER
from tests.support.image_files import ImageFiles

SBOMS = {"operator": "vott-train.cdx.json", "trainer": "vott-trainer.cdx.json"}
OWN = ("/opt/venv/lib", "/opt/app")
PROGRAMS = (
    "pip",
    "uv",
    "gcc",
    "g++",
    "cc",
    "c++",
    "ld",
    "make",
    "git",
    "curl",
    "wget",
    "ssh",
    "nc",
    "buildah",
    "kubectl",
)
MODULES = ("ensurepip", "pip", "uv")  # folders
PRIVATE = (
    ".git",
    ".netrc",
    ".pypirc",
    ".npmrc",
    "pip.conf",
    "id_rsa",
    "id_ed25519",
    ".dockerconfigjson",
    ".env",
    "kubeconfig",
)
MAX_SEARCHED = 1 << 20  # bytes
SECRETS = {
    "private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200,}-----END"),
    "token": re.compile(rb"eyJ[\w-]{20,}\.eyJ[\w-]{40,}\.[\w-]{40,}"),
    "SAS": re.compile(rb"[?&]sig=[A-Za-z0-9+/]{20,}(%[0-9A-F]{2}|[A-Za-z0-9+/])*(%3D|=)"),
    "account key": re.compile(rb"(AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}="),
    "cloud key": re.compile(rb"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36})\b"),
}
PUBLISHED = (
    b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    b"AKIAIOSFODNN7EXAMPLE",
)
"""Azurite's key and AWS's example key, which the client libraries' documentation contains."""


@pytest.fixture(scope="module")
def references() -> dict[str, str]:
    return build_images()


@pytest.fixture(scope="module", params=list(SBOMS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(name: str, references: dict[str, str]) -> ImageFiles:
    return ImageFiles(references[name])


@pytest.fixture(scope="module")
def bom(name: str, image: ImageFiles) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(image.files[PurePosixPath("/", FOLDER, SBOMS[name])].read_text())
    return found


def python_files(image: ImageFiles) -> Iterator[PurePosixPath]:
    """Python files of the project and of installed packages, without the system's."""
    return (path for path in image.files if path.suffix == ".py" and str(path).startswith(OWN))


def test_the_bill_of_materials_is_valid_cyclonedx(bom: dict[str, Any]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None


def test_the_bill_of_materials_lists_exactly_the_installed_packages(image: ImageFiles, bom: dict[str, Any]) -> None:
    folders = (path.name for path in image.files if path.suffix == ".dist-info" and path.parent.name == "site-packages")
    installed = {re.sub(r"[-_.]+", "-", folder.partition("-")[0]).lower() for folder in folders} - {"vott-train"}
    status = image.files[PurePosixPath("/var/lib/dpkg/status")].read_text()
    system = {
        block.split("\n")[0] for block in status.split("Package: ")[1:] if "Status: install ok installed" in block
    }
    listed = {
        kind: {item["name"] for item in bom["components"] if item.get("purl", "").startswith(f"pkg:{kind}/")}
        for kind in ("pypi", "deb")
    }
    assert listed == {"pypi": installed, "deb": system}


def test_listed_python_packages_have_hashes_and_nearly_all_a_licence(bom: dict[str, Any]) -> None:
    packages = [item for item in bom["components"] if item.get("purl", "").startswith("pkg:pypi/")]
    assert [item["name"] for item in packages if not item["externalReferences"][0]["hashes"]] == []
    assert len([item for item in packages if "licenses" not in item]) <= len(packages) / 10


def test_the_bill_of_materials_lists_exactly_the_weights_in_the_image(
    image: ImageFiles, bom: dict[str, Any], name: str
) -> None:
    models = [item for item in bom["components"] if item["type"] == "machine-learning-model"]
    listed = {item["name"]: item["hashes"][0]["content"] for item in models}
    present = {path.stem: hashlib.sha256(real.read_bytes()).hexdigest() for path, real in weights_of(image)}
    assert listed == present
    assert list(present) == ([BAKED_WEIGHTS] if name == "trainer" else [])


def weights_of(image: ImageFiles) -> list[tuple[PurePosixPath, Path]]:
    """The pretrained weights in the image: path in the image, and path on this host."""
    return [(path, real) for path, real in image.files.items() if path.parent == PurePosixPath("/opt/weights")]


def test_weights_are_readable_by_all_and_writable_by_root_only(image: ImageFiles) -> None:
    infos = [real.lstat() for _, real in weights_of(image)]
    assert {(info.st_uid, stat.S_IMODE(info.st_mode)) for info in infos} <= {(0, 0o644)}


def test_image_runs_as_an_unprivileged_user(image: ImageFiles) -> None:
    assert image.config["config"]["User"] == "10001:10001"


def test_no_program_is_setuid_or_setgid(image: ImageFiles) -> None:
    modes = {str(path): real.lstat().st_mode for path, real in image.files.items()}
    assert [path for path, mode in modes.items() if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID)] == []


def test_code_is_writable_by_root_only(image: ImageFiles) -> None:
    infos = {str(path): real.lstat() for path, real in image.files.items() if str(path).startswith(OWN)}
    writable = [
        path for path, info in infos.items() if info.st_uid or (info.st_mode & 0o022 and not stat.S_ISLNK(info.st_mode))
    ]
    assert writable == []


def test_image_has_no_installer_compiler_or_download_tool(image: ImageFiles) -> None:
    found = [str(path) for path in image.files if "bin" in path.parts and path.name in PROGRAMS]
    found += [str(path) for path in image.files if _is_module(path) or path.suffix == ".whl"]
    assert found == []


def _is_module(path: PurePosixPath) -> bool:
    return path.name in MODULES and path.parent.name in ("site-packages", "dist-packages", "python3.11")


def test_every_python_file_is_compiled(image: ImageFiles) -> None:
    missing = [str(path) for path in python_files(image) if not any(image.files.keys() & _compiled(path))]
    assert len(missing) <= 5, missing  # some packages contain examples for later versions of Python


def _compiled(path: PurePosixPath) -> set[PurePosixPath]:
    return {path.parent / "__pycache__" / f"{path.stem}.cpython-3{minor}.pyc" for minor in range(11, 15)}


def test_no_layer_holds_a_private_file(image: ImageFiles) -> None:
    assert [str(path) for path in image.in_layers() if path.name in PRIVATE] == []


def test_no_layer_holds_a_secret(image: ImageFiles) -> None:
    found = [
        f"{kind} in {path}: {match[0][:40]!r}"
        for path in image.in_layers()
        if (content := _searched(path))
        for kind, pattern in SECRETS.items()
        for match in pattern.finditer(content)
        if not any(published in match[0] for published in PUBLISHED)
    ]
    assert found == []


def _searched(path: Path) -> bytes:
    """The content to search; empty for large files, libraries and byte code, which repeats its source."""
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_SEARCHED or path.suffix == ".pyc":
        return b""
    content = path.read_bytes()
    return (
        b"" if content.startswith(b"\x7fELF") else content
    )  # libraries of cryptography hold the keys of their self-tests


def test_no_variable_or_step_of_the_build_holds_a_secret(image: ImageFiles) -> None:
    text = json.dumps(image.config).encode()
    assert [kind for kind, pattern in SECRETS.items() if pattern.search(text)] == []
    assert not re.search(rb"(?i)(password|secret|token|key)[A-Z_]*=", text)
