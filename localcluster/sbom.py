"""Copy the software bill of materials (CycloneDX) out of both images."""

import shutil
from pathlib import Path

from localcluster.image_transfer import StoredImage
from localcluster.images import build_images
from localcluster.paths import cache_folder

FOLDER = "usr/share/sbom"
"""Folder of the CycloneDX document in each image."""


def write_sboms(folder: Path) -> list[Path]:
    """Build missing images, and copy each image's document to the folder.

    Raises:
        LocalClusterError: A build failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = cache_folder() / "buildah"
    layers = (layer for reference in build_images().values() for layer in StoredImage(store, reference).layers())
    documents = [path for layer in layers for path in (layer.folder / FOLDER).glob("*.cdx.json")]
    return [Path(shutil.copyfile(path, folder / path.name)) for path in documents]
