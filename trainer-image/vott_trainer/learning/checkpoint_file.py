"""The file of a checkpoint: written and read without pickled code."""

import zipfile
from pathlib import Path
from typing import Any

import torch


def write(saved: dict[str, Any], path: Path) -> None:
    """Write the state of a training; raise OSError or RuntimeError on failure."""
    torch.save(saved, path)


def read(path: Path) -> dict[str, Any]:
    """Read the state of a training: only tensors and plain values, never code.

    Raises:
        ValueError: the file is something else.
    """
    try:
        _check_size(path)
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        raise ValueError(f"not a checkpoint ({type(error).__name__})") from error
    if not isinstance(saved, dict):
        raise ValueError("not a checkpoint (no names)")
    return saved


def _check_size(path: Path) -> None:
    """Refuse a file that would be larger in memory: `write` neither compresses nor shares content."""
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("compressed")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("larger than its file")
