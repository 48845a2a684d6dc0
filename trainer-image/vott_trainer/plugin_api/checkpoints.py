"""Checkpoints as a plugin sees them; `stores/checkpoints.py` implements them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field


@dataclass(frozen=True)
class TrainingPosition:
    """How far a training has come.

    Attributes:
        work: a digest of everything that decides the result; a checkpoint of other work is never resumed.
        epoch: the current epoch, from 1.
        step: the completed steps of that epoch.
        fraction: the completed share of the whole training, 0 to 1.
    """

    work: str
    epoch: Annotated[int, Field(ge=0)]
    step: Annotated[int, Field(ge=0)]
    fraction: Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Checkpoint(TrainingPosition):
    """A stored and verified checkpoint: its URL, without query, and when it was saved (RFC 3339, UTC)."""

    url: str
    time: Annotated[str, Field(pattern="^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$")]


class Checkpoints(Protocol):
    """The checkpoints of one training. A store's errors are logged and never end the training."""

    @property
    def every_seconds(self) -> float:
        """The administrator's interval between two checkpoints."""

    @property
    def newest(self) -> Checkpoint | None:
        """The newest checkpoint stored or found."""

    @property
    def is_saving(self) -> bool:
        """Whether a background save is in progress."""

    def save(self, write: Callable[[Path], None], position: TrainingPosition) -> bool:
        """Store the file that `write` writes; False if that failed."""

    def save_in_background(self, write: Callable[[Path], None], position: TrainingPosition) -> None:
        """Save in a background thread; does nothing while the previous save is in progress."""

    def wait(self) -> None:
        """Block until no save is in progress."""
