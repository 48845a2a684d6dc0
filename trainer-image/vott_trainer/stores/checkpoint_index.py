"""The checkpoint index, `index.json`: which slot holds which checkpoint, newest first.

Anyone with write access to the store may have changed it, so it is validated, and file names in it must be those of the slots.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from vott_trainer.plugin_api import Checkpoint

INDEX = "index.json"
MAX_INDEX_BYTES = 1 << 16
Slot = Literal["0.pt", "1.pt"]
SLOTS: tuple[Slot, Slot] = ("0.pt", "1.pt")


@dataclass(frozen=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint with its slot in the store and its SHA-256."""

    slot: Slot
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Index(BaseModel):
    checkpoints: Annotated[list[StoredCheckpoint], Field(max_length=len(SLOTS))]


def read_index(path: Path) -> list[StoredCheckpoint]:
    """Read an index file.

    Raises:
        ValueError: it is too large or not valid.
    """
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise ValueError(f"it is larger than {MAX_INDEX_BYTES:,} bytes")
    return _Index.model_validate_json(path.read_bytes()).checkpoints


def write_index(path: Path, checkpoints: Sequence[StoredCheckpoint]) -> None:
    """Write an index file."""
    path.write_text(json.dumps({"checkpoints": [asdict(one) for one in checkpoints]}, indent=2), encoding="utf-8")
