"""SHA-256 of a file's content: identical images, and a split that is the same in every run."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
