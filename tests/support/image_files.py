"""A built image's files, layer by layer and as a container sees them, read from buildah's store."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from localcluster.image_transfer import StoredImage
from localcluster.paths import cache_folder

OPAQUE = "trusted.overlay.opaque"  # of a folder that hides what lower layers have in it


@dataclass(frozen=True)
class ImageFiles:
    """One image."""

    reference: str

    @cached_property
    def _image(self) -> StoredImage:
        return StoredImage(cache_folder() / "buildah", self.reference)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The image's configuration (OCI image specification, "Image Configuration")."""
        found: dict[str, Any] = json.loads(self._image.blobs()[1])
        return found

    def in_layers(self) -> Iterator[Path]:
        """Every file of every layer, also what a later one hides."""
        for layer in self._image.layers():
            for folder, _, files in os.walk(layer.folder):
                yield from (Path(folder, name) for name in files)

    @cached_property
    def files(self) -> dict[PurePosixPath, Path]:
        """What a container sees: path in the image, and where it lies."""
        seen: dict[PurePosixPath, Path] = {}
        for layer in self._image.layers():
            for folder, folders, files in os.walk(layer.folder):
                inside = PurePosixPath("/", Path(folder).relative_to(layer.folder))
                if OPAQUE in os.listxattr(folder):
                    _hide(seen, inside)
                for name in [*folders, *files]:
                    _add(seen, inside / name, Path(folder, name))
        return seen

    @property
    def size(self) -> int:
        """Bytes of all files that a container sees; several names of one file count once."""
        found = {(info.st_dev, info.st_ino): info for path in self.files.values() for info in [path.lstat()]}
        return sum(info.st_size for info in found.values() if stat.S_ISREG(info.st_mode))


def _add(seen: dict[PurePosixPath, Path], inside: PurePosixPath, path: Path) -> None:
    info = path.lstat()
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:  # how overlayfs notes that something was removed
        _hide(seen, inside)
        seen.pop(inside, None)
    else:
        seen[inside] = path


def _hide(seen: dict[PurePosixPath, Path], folder: PurePosixPath) -> None:
    for inside in [path for path in seen if path.is_relative_to(folder) and path != folder]:
        del seen[inside]
