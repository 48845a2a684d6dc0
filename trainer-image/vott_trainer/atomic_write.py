"""Files that appear under their name only once they are complete."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def partial_path(file: Path, *, unique: bool = False) -> Path:
    """Return where a file is written until it is complete.

    Args:
        unique: whether several pods may write the file at once. Otherwise the path is predictable, so that a partial file of a killed
            process can be deleted.
    """
    infix = f".{secrets.token_hex(4)}" if unique else ""
    return file.with_name(f"{file.name}{infix}.partial")


@contextlib.contextmanager
def atomic_write(file: Path, *, unique: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing; it replaces `file` at the end, unless an error is raised. `unique` as in `partial_path`."""
    partial = partial_path(file, unique=unique)
    try:
        with partial.open("wb") as opened:
            yield opened
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
