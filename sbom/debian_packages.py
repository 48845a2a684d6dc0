"""The Debian packages below a root folder, and the system itself."""

import re
from email import message_from_string
from email.message import Message
from pathlib import Path

from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from packageurl import PackageURL

from sbom.part import Part, licenses, linked

# https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
_LICENSE = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_ALTERNATIVES = re.compile(r"[,|]")


def debian_packages(root: Path) -> list[Part]:
    """Return the system and its packages; nothing where it has no dpkg."""
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return []
    release = _release(root / "etc/os-release")
    paragraphs = map(message_from_string, re.split(r"\n\n+", status.read_text()))
    installed = {one["Package"]: one for one in paragraphs if str(one["Status"]).endswith(" installed")}
    components = {name: _component(about, release, root) for name, about in installed.items()}
    name, version = release["ID"], release["VERSION_ID"]
    system = Component(name=name, version=version, type=ComponentType.OPERATING_SYSTEM, bom_ref=f"{name}-{version}")
    return [Part(system), *linked(components, {name: _needs(about) for name, about in installed.items()})]


def _component(about: "Message[str, str]", release: dict[str, str], root: Path) -> Component:
    name, version = about["Package"], about["Version"]
    qualifiers = {"arch": about["Architecture"], "distro": f"{release['ID']}-{release['VERSION_ID']}"}
    purl = PackageURL("deb", release["ID"], name, version, qualifiers)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
        supplier=OrganizationalEntity(name=about["Maintainer"]), description=about["Description"].partition("\n")[0],
        licenses=licenses(_licenses(root / "usr/share/doc" / name / "copyright")),
    )  # fmt: skip


def _licenses(copyright_: Path) -> list[str]:
    """Return the short names; none where a small base image left the file out, or it is older prose."""
    text = copyright_.read_text(errors="replace") if copyright_.exists() else ""
    return sorted({name.strip() for name in _LICENSE.findall(text)})


def _needs(about: "Message[str, str]") -> list[str]:
    texts = _ALTERNATIVES.split(f"{about['Depends'] or ''},{about['Pre-Depends'] or ''}")
    return [re.split(r"[\s:(]", text.strip(), maxsplit=1)[0] for text in texts]


def _release(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value.strip('"') for name, _, value in lines}
