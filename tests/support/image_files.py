"""Files of a built image, by layer and merged as a container sees them, read from buildah's store."""

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

OPAQUE = "trusted.overlay.opaque"  # extended attribute of a folder that hides the lower layers' content


@dataclass(frozen=True)
class ImageFiles:
    """An image in buildah's store."""

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
        """Every file of every layer, including those that a later layer hides."""
        for layer in self._image.layers():
            for folder, _, files in os.walk(layer.folder):
                yield from (Path(folder, name) for name in files)

    @cached_property
    def files(self) -> dict[PurePosixPath, Path]:
        """The merged files that a container sees: path in the image to path on this host."""
        merged: dict[PurePosixPath, Path] = {}
        for layer in self._image.layers():
            for folder, folders, files in os.walk(layer.folder):
                inside = PurePosixPath("/", Path(folder).relative_to(layer.folder))
                if OPAQUE in os.listxattr(folder):
                    _hide(merged, inside)
                for name in [*folders, *files]:
                    _add(merged, inside / name, Path(folder, name))
        return merged

    @property
    def size(self) -> int:
        """Bytes of all merged files; hard links count once."""
        found = {(info.st_dev, info.st_ino): info for path in self.files.values() for info in [path.lstat()]}
        return sum(info.st_size for info in found.values() if stat.S_ISREG(info.st_mode))


def _add(merged: dict[PurePosixPath, Path], inside: PurePosixPath, path: Path) -> None:
    info = path.lstat()
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:  # overlayfs's whiteout: the file was removed
        _hide(merged, inside)
        merged.pop(inside, None)
    else:
        merged[inside] = path


def _hide(merged: dict[PurePosixPath, Path], folder: PurePosixPath) -> None:
    for inside in [path for path in merged if path.is_relative_to(folder) and path != folder]:
        del merged[inside]
