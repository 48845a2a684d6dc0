"""One training as its plugin sees it: data, progress, checkpoints, and the folder for the model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vott_trainer.annotations.model import Annotations
from vott_trainer.plugin_api.checkpoints import Checkpoint, Checkpoints
from vott_trainer.plugin_api.dataset import Dataset
from vott_trainer.plugin_api.fold import ONLY, Fold


@dataclass(frozen=True)
class Links:
    """The full URLs of the message. They carry credentials: never print them."""

    annotations: str = field(repr=False)
    model: str = field(repr=False)
    status: str | None = field(repr=False)


class Ranks(Protocol):
    """This process among all processes of the training, in torchrun's terms; every node runs equally many processes."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def world_size(self) -> int:
        """Number of processes."""

    @property
    def local_rank(self) -> int:
        """Number of this process on its node, from 0: its GPU."""

    @property
    def local_world_size(self) -> int:
        """Number of processes on each node."""

    @property
    def node(self) -> int:
        """Number of this process's node, from 0."""

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which evaluates, saves, uploads and reports."""


class Snapshot(Protocol):
    """How far the training is."""

    @property
    def fraction(self) -> float:
        """The completed share of the whole training, 0 to 1."""

    @property
    def step_total(self) -> int:
        """Steps of an epoch."""


class Progress(Protocol):
    """Where a plugin reports its progress, for the TrainingJob and the callback. Call it as often as you like."""

    @property
    def snapshot(self) -> Snapshot:
        """The progress reported so far."""

    def begin(self, epochs: int, steps: int, fold: Fold = ONLY) -> None:
        """Report the start of the training, or of a fold of it: the number of epochs, and of steps in each."""

    def step(
        self,
        epoch: int,
        step: int,
        *,
        classification_loss: float | None,
        images_per_second: float | None,
        fraction: float | None = None,
    ) -> None:
        """Report a completed step; epochs and steps count from 1.

        Args:
            fraction: the completed share of the training, or of its fold, if not only the number of steps decides when it ends.
        """

    def epoch_end(self, metrics: dict[str, float] | None = None) -> None:
        """Report the end of an epoch, with the metrics measured after it, if any."""

    def checkpoint_stored(self, checkpoint: Checkpoint | None) -> None:
        """Report the newest stored checkpoint."""

    def start_over(self) -> None:
        """Report that the training starts over instead of resuming."""


class Interruption(Protocol):
    """SIGTERM. Without `defer()` it ends the process at once."""

    @property
    def requested(self) -> bool:
        """Whether SIGTERM has arrived."""

    def defer(self) -> None:
        """From now on only set `requested` on SIGTERM, so that the plugin can save first."""

    def stop_deferring(self) -> None:
        """From now on end the process at once on SIGTERM: nothing is left to save."""

    def check(self) -> None:
        """Raise InterruptedTrainingError if SIGTERM has arrived."""


class Run(Protocol):
    """One training, as the plugin sees it."""

    @property
    def links(self) -> Links:
        """The message's URLs, for plugins that fetch and upload by themselves."""

    @property
    def progress(self) -> Progress:
        """Where to report progress."""

    @property
    def ranks(self) -> Ranks:
        """This process among all of them; a plugin that is not `distributed` sees only itself."""

    @property
    def model_dir(self) -> Path:
        """An empty folder. Its contents when `train` returns become the model; only rank 0's count."""

    @property
    def work_dir(self) -> Path:
        """A folder for files that are not kept; all processes of a node share it."""

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where to save checkpoints; None if neither the model's link nor the administrator provides a location."""

    @property
    def interruption(self) -> Interruption:
        """How to react to SIGTERM."""

    def checkpoint(self, work: str) -> tuple[Checkpoint, Path] | None:
        """Fetch the newest intact checkpoint of `work`, once per node; return it and its file, or None."""

    def note(self, sentence: str) -> None:
        """Add a sentence to the report."""

    def annotations(self) -> Annotations:
        """Fetch and check the annotation file."""

    def dataset(self) -> Dataset:
        """Fetch and check the annotated images, as the message's parameters say."""

    def fetch(self, url: str, name: str) -> Path:
        """Download another file, once per node, to `name` in the work folder."""
