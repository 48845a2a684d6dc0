"""Components for the operating system and its Debian packages."""

import re
from email import message_from_string
from email.message import Message
from pathlib import Path

from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from packageurl import PackageURL

from sbom.components import LinkedComponent, licenses, link

# https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
_LICENSE = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_ALTERNATIVES = re.compile(r"[,|]")


def debian_packages(root: Path) -> list[LinkedComponent]:
    """The operating system and its packages; empty without dpkg."""
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return []
    release = _release(root / "etc/os-release")
    paragraphs = map(message_from_string, re.split(r"\n\n+", status.read_text()))
    installed = {
        paragraph["Package"]: paragraph for paragraph in paragraphs if str(paragraph["Status"]).endswith(" installed")
    }
    components = {name: _component(package, release, root) for name, package in installed.items()}
    name, version = release["ID"], release["VERSION_ID"]
    system = Component(name=name, version=version, type=ComponentType.OPERATING_SYSTEM, bom_ref=f"{name}-{version}")
    return [
        LinkedComponent(system),
        *link(components, {name: _dependencies(package) for name, package in installed.items()}),
    ]


def _component(package: "Message[str, str]", release: dict[str, str], root: Path) -> Component:
    name, version = package["Package"], package["Version"]
    qualifiers = {"arch": package["Architecture"], "distro": f"{release['ID']}-{release['VERSION_ID']}"}
    purl = PackageURL("deb", release["ID"], name, version, qualifiers)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
        supplier=OrganizationalEntity(name=package["Maintainer"]), description=package["Description"].partition("\n")[0],
        licenses=licenses(_licenses(root / "usr/share/doc" / name / "copyright")),
    )  # fmt: skip


def _licenses(copyright_: Path) -> list[str]:
    """Short names of the licences; empty if the file is missing (slim base images) or in an older format."""
    text = copyright_.read_text(errors="replace") if copyright_.exists() else ""
    return sorted({name.strip() for name in _LICENSE.findall(text)})


def _dependencies(package: "Message[str, str]") -> list[str]:
    texts = _ALTERNATIVES.split(f"{package['Depends'] or ''},{package['Pre-Depends'] or ''}")
    return [re.split(r"[\s:(]", text.strip(), maxsplit=1)[0] for text in texts]


def _release(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value.strip('"') for name, _, value in lines}
