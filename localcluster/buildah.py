"""buildah with its own image store in the cache: builds Dockerfiles without a daemon."""

import json
import os
import subprocess
from pathlib import Path

from localcluster.errors import CommandError
from localcluster.mounts import unmount_below
from localcluster.paths import RUN, cache_folder
from localcluster.progress import Step

_STORE_MOUNT = RUN / "buildah-store"


class Buildah:
    """Runs buildah commands, one at a time, under the images' lock."""

    def __init__(self) -> None:
        self.store = cache_folder() / "buildah"
        self._temporary = cache_folder() / "buildah-tmp"  # also holds the cache mounts: downloads of pip and uv
        self._temporary.mkdir(exist_ok=True)
        # without metacopy each layer has complete files, which containerd can read in place
        options = [
            "--root",
            str(_mounted(self.store)),
            "--runroot",
            str(RUN / "buildah"),
            "--storage-driver",
            "overlay",
        ]
        self._command = ["buildah", *options, "--storage-opt", "overlay.mountopt=metacopy=off"]

    def remove_killed_builds(self) -> None:
        """Remove the mounts and containers of builds that were killed."""
        unmount_below(_STORE_MOUNT)
        self.output("rm", "--all")

    def has(self, reference: str) -> bool:
        """Whether the store has this image."""
        return reference in self.references()

    def references(self) -> list[str]:
        """The names of all images in the store."""
        records = self.store / "overlay-images" / "images.json"
        return (
            [name for record in json.loads(records.read_text()) for name in record.get("names") or []]
            if records.exists()
            else []
        )

    def run(self, step: Step, *arguments: str | Path) -> None:
        """Run a command; its output goes to the step's log."""
        step.run([*self._command, *arguments], env=self._environment())

    def output(self, *arguments: str) -> str:
        """Run a short command and return its output.

        Raises:
            CommandError: The command failed.
        """
        done = subprocess.run(
            [*self._command, *arguments], env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandError(f"buildah {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self._temporary)}


def _mounted(store: Path) -> Path:
    """Bind-mount the store to a path outside of any home folder.

    When buildah 1.28 cleans up, it mistakes a cache mount's target for a path of the host: with the store in root's
    ``~/.cache``, a build with a cache mount at that path loses all of its files.
    """
    for folder in (store, _STORE_MOUNT):
        folder.mkdir(parents=True, exist_ok=True)
    if not _STORE_MOUNT.samefile(store):
        unmount_below(_STORE_MOUNT, itself=True)  # of another cache
        subprocess.run(["mount", "--bind", store, _STORE_MOUNT], check=True)
    return _STORE_MOUNT
