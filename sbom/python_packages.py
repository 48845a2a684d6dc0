"""The Python packages of a virtual environment, and the interpreter where no system package brought it."""

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.component import Component, ComponentType
from packageurl import PackageURL

from sbom.part import Part, licenses, linked

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST_LICENSE = 100  # characters; in old metadata it is the licence's whole text
_CLASSIFIER = "License :: OSI Approved :: "


def python_packages(venv: Path, lock: Path, own: str) -> list[Part]:
    """Return what is installed there, each with the hashes of its files in the lock.

    Args:
        own: the project that the image is for, which is none of its own parts.

    Raises:
        ValueError: a package is installed that the lock does not name.
    """
    (folder,) = venv.glob("lib/python3*/site-packages")
    installed = {_canonical(found.name): found for found in distributions(path=[str(folder)])}
    installed.pop(_canonical(own), None)
    hashes = _hashes(lock.read_text())
    if unknown := sorted(installed.keys() - hashes.keys()):
        raise ValueError(f"{lock} does not name {', '.join(unknown)}, which is installed in {venv}")
    components = {name: _component(name, found, hashes[name]) for name, found in installed.items()}
    return linked(components, {name: list(_needs(found)) for name, found in installed.items()})


def interpreter(venv: Path) -> list[Part]:
    """Return the interpreter of the environment; none where it is a Debian package as all others."""
    lines = (line.partition("=") for line in (venv / "pyvenv.cfg").read_text().splitlines())
    facts = {name.strip(): value.strip() for name, _, value in lines}
    if facts["home"] == "/usr/bin":
        return []
    version = facts["version"]
    purl = PackageURL("generic", name="python", version=version)
    component = Component(
        name="python", version=version, type=ComponentType.PLATFORM, purl=purl, bom_ref=str(purl), licenses=licenses(["PSF-2.0"])
    )  # fmt: skip
    return [Part(component)]


def _component(name: str, found: Distribution, hashes: list[str]) -> Component:
    """As cyclonedx-py does it, the lock's hashes stand at the reference to the published files: any of them may be the installed one."""
    purl = PackageURL("pypi", name=name, version=found.version)
    known = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes]
    published = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=known)
    return Component(
        name=name, version=found.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
        description=_said(found, "Summary"), licenses=licenses(_licenses(found)), external_references=[published],
    )  # fmt: skip


def _licenses(found: Distribution) -> list[str]:
    """Return the expression of PEP 639, else what older metadata say."""
    if expression := _said(found, "License-Expression"):
        return [expression]
    text = _said(found, "License").strip()
    if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST_LICENSE:
        return [text]
    classifiers = found.metadata.get_all("Classifier") or []
    return [text.removeprefix(_CLASSIFIER) for text in classifiers if text.startswith(_CLASSIFIER)]


def _said(found: Distribution, field: str) -> str:
    return str((found.metadata.get_all(field) or [""])[0])


def _needs(found: Distribution) -> Iterator[str]:
    for requirement in found.requires or []:
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
    """Return the name as https://packaging.python.org/en/latest/specifications/name-normalization/ wants it."""
    return re.sub(r"[-_.]+", "-", name).lower()
