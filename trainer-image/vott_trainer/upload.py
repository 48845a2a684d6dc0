"""Until training.py calls Destination.deliver."""

from pathlib import Path

from vott_trainer.destination import Destination
from vott_trainer.progress import UploadedModel


def upload(archive: Path, destination: Destination) -> UploadedModel:
    stored = destination.store.put(archive, destination.name)
    return UploadedModel(stored.url, stored.sha256, stored.size_bytes)
