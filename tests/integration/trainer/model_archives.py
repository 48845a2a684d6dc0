"""Model archives in a container: the content to upload, and the download of what the trainer uploaded."""

import tarfile
from pathlib import Path

from azure.storage.blob import ContainerClient

ARCHIVE_CONTENT = b"weights" * 1000


def download_model(container: ContainerClient, folder: Path) -> Path:
    """Download and unpack model.tgz; return the model's folder."""
    archive = folder / "model.tgz"
    archive.write_bytes(container.download_blob("model.tgz").readall())
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "model", filter="data")
    return folder / "model"
