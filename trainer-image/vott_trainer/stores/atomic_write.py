"""Files that appear under their name only once they are complete."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def partial_path(file: Path) -> Path:
    """Return where a file is written until it is complete."""
    return file.with_name(f"{file.name}.partial")


@contextlib.contextmanager
def atomic_write(file: Path) -> Iterator[BinaryIO]:
    """Open a file for writing; it replaces `file` at the end, unless an error is raised."""
    partial = partial_path(file)
    try:
        with partial.open("wb") as opened:
            yield opened
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
