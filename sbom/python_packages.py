"""Components for the Python packages of a virtual environment and its interpreter."""

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.component import Component, ComponentType
from packageurl import PackageURL

from sbom.components import LinkedComponent, licenses, link

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MAX_LICENSE_CHARACTERS = 100  # old metadata may have the full text of the licence
_CLASSIFIER = "License :: OSI Approved :: "


def python_packages(venv: Path, lock: Path, own: str) -> list[LinkedComponent]:
    """The installed packages, with the hashes from the lock file.

    Args:
        venv: Folder of the virtual environment.
        lock: Requirements file with hashes.
        own: Name of the image's project, which is not a component of itself.

    Raises:
        ValueError: An installed package is missing in the lock file.
    """
    (folder,) = venv.glob("lib/python3*/site-packages")
    installed = {_canonical(package.name): package for package in distributions(path=[str(folder)])}
    installed.pop(_canonical(own), None)
    hashes = _hashes(lock.read_text())
    if unknown := sorted(installed.keys() - hashes.keys()):
        raise ValueError(f"{', '.join(unknown)} is installed in {venv} but missing in {lock}")
    components = {name: _component(name, package, hashes[name]) for name, package in installed.items()}
    return link(components, {name: list(_dependencies(package)) for name, package in installed.items()})


def interpreter(venv: Path) -> list[LinkedComponent]:
    """The environment's interpreter; empty if it comes from a Debian package."""
    lines = (line.partition("=") for line in (venv / "pyvenv.cfg").read_text().splitlines())
    config = {name.strip(): value.strip() for name, _, value in lines}
    if config["home"] == "/usr/bin":
        return []
    version = config["version"]
    purl = PackageURL("generic", name="python", version=version)
    component = Component(
        name="python", version=version, type=ComponentType.PLATFORM, purl=purl, bom_ref=str(purl), licenses=licenses(["PSF-2.0"])
    )  # fmt: skip
    return [LinkedComponent(component)]


def _component(name: str, package: Distribution, hashes: list[str]) -> Component:
    """A package. Like cyclonedx-py, this lists the lock's hashes at the distribution reference, as any of its files may be installed."""
    purl = PackageURL("pypi", name=name, version=package.version)
    digests = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes]
    published = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=digests)
    return Component(
        name=name, version=package.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
        description=_metadata(package, "Summary"), licenses=licenses(_licenses(package)), external_references=[published],
    )  # fmt: skip


def _licenses(package: Distribution) -> list[str]:
    """The PEP 639 licence expression, or the licences in older metadata."""
    if expression := _metadata(package, "License-Expression"):
        return [expression]
    text = _metadata(package, "License").strip()
    if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _MAX_LICENSE_CHARACTERS:
        return [text]
    classifiers = package.metadata.get_all("Classifier") or []
    return [text.removeprefix(_CLASSIFIER) for text in classifiers if text.startswith(_CLASSIFIER)]


def _metadata(package: Distribution, field: str) -> str:
    return str((package.metadata.get_all(field) or [""])[0])


def _dependencies(package: Distribution) -> Iterator[str]:
    for requirement in package.requires or []:
        if "extra ==" not in requirement and (name := _NAME.match(requirement)):
            yield _canonical(name[0])


def _hashes(lock: str) -> dict[str, list[str]]:
    hashes: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name = _canonical(pin[1])
        hashes[name] += _HASH.findall(line)
    return hashes


def _canonical(name: str) -> str:
    """Normalize a name: https://packaging.python.org/en/latest/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", name).lower()
