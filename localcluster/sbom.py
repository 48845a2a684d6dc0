"""What both images are made of, written out of them."""

import shutil
from pathlib import Path

from localcluster.image_transfer import StoredImage
from localcluster.images import build_images
from localcluster.paths import cache_folder

FOLDER = "usr/share/sbom"
"""Where each image has its CycloneDX document."""


def write_sboms(folder: Path) -> list[Path]:
    """Build what is not built yet, and copy each image's document to the folder.

    Raises:
        LocalClusterError: a build failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = cache_folder() / "buildah"
    layers = (layer for reference in build_images().values() for layer in StoredImage(store, reference).layers())
    documents = [path for layer in layers for path in (layer.folder / FOLDER).glob("*.cdx.json")]
    return [Path(shutil.copyfile(path, folder / path.name)) for path in documents]
