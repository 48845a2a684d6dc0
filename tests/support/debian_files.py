"""Files of Debian packages, for tests: downloaded once into the cache, neither installed nor part of this repository."""

import shutil
from pathlib import Path

from localcluster.build_cache import build_once, content_key
from localcluster.progress import step


def unpacked(*packages: str) -> Path:
    """Return a folder with the packages' files, as they would be below `/`; needs apt-get, but not root.

    Raises:
        LocalClusterError: apt-get or dpkg-deb failed, or is missing.
    """
    with build_once("debian-packages", content_key(*packages)) as build:
        if build.is_needed:
            _fetch(build.folder, packages)
    return build.folder


def _fetch(folder: Path, packages: tuple[str, ...]) -> None:
    lists, downloads = folder / "lists", folder / "downloads"
    for path in (lists / "partial", downloads / "partial"):
        path.mkdir(parents=True)
    # Own lists, because the system's may be missing or outdated, and only root may update them.
    options = {"Dir::State::lists": lists, "Dir::Cache": downloads, "APT::Sandbox::User": "root"}
    apt = ["apt-get", "--quiet", *(text for name, value in options.items() for text in ("-o", f"{name}={value}"))]
    with step(
        f"Download the Debian packages {', '.join(packages)}",
        remedy="Is a Debian mirror reachable? Try: apt-get update",
    ) as this:
        this.run([*apt, "update"])
        this.run([*apt, "download", *packages], cwd=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            this.run(["dpkg-deb", "--extract", archive, folder])
    for path in (lists, downloads):
        shutil.rmtree(path)
