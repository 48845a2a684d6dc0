"""The base image of operator and trainer, built from Debian packages instead of a registry's Python image."""

import shutil
from pathlib import Path

from localcluster.build_cache import content_key
from localcluster.buildah import Buildah
from localcluster.progress import step

_RECIPE_VERSION = "1"  # increment it when the steps below change
_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_UNNEEDED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
)


def base_reference() -> str:
    """The base image's name; its tag is a hash of its inputs."""
    return f"localhost/vott-train/base:{content_key(_RECIPE_VERSION, _SUITE, _PACKAGES, _bundle())}"


def ensure_base_image(buildah: Buildah) -> str:
    """Build the base image if it is missing, and return its reference.

    It contains the host's certificate bundle, so that pip works in builds behind a proxy with its own authority.

    Raises:
        LocalClusterError: debootstrap or buildah failed.
    """
    reference = base_reference()
    if not buildah.has(reference):
        _build(buildah, reference)
    return reference


def _bundle() -> bytes:
    return _CA_BUNDLE.read_bytes() if _CA_BUNDLE.exists() else b""


def _build(buildah: Buildah, reference: str) -> None:
    with step(
        f"Build the base image from Debian {_SUITE}", remedy="Is a Debian mirror reachable? Try: apt-get update"
    ) as this:
        container = buildah.output("from", "scratch")
        root = Path(buildah.output("mount", container))
        this.run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, root])
        for folder in _UNNEEDED:
            shutil.rmtree(root / folder, ignore_errors=True)
        if bundle := _bundle():
            (root / _CA_BUNDLE.relative_to("/")).write_bytes(bundle)
        buildah.run(
            this,
            "config",
            "--cmd",
            "bash",
            "--env",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            container,
        )
        buildah.run(this, "unmount", container)
        buildah.run(this, "commit", "--rm", container, reference)
