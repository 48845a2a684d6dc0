"""Progress: keeps the current snapshot up to date, and passes each change to a listener."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from vott_guard.callback_payload import in_fold
from vott_trainer.plugin_api import Checkpoint, Fold
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.progress.eta import ProgressPoint, seconds_left
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.store import StoredObject

TRAINING_STARTS = 0.05  # fraction after fetching
TRAINING_ENDS = 0.95  # fraction before packing and uploading

Listener = Callable[[Snapshot], None]


class Progress:
    """The current snapshot. The listener gets each change."""

    def __init__(
        self,
        listener: Listener = lambda _snapshot: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.snapshot = Snapshot()
        self._listener = listener
        self._clock = clock
        self._first_step: ProgressPoint | None = None
        self._resumed_fraction = 0.0
        self._epochs = 1

    def resume(self, checkpoint: Checkpoint) -> None:
        """Start from the checkpoint's fraction; never show less."""
        self._resumed_fraction = checkpoint.fraction
        message = f"Resuming from epoch {checkpoint.epoch}"
        self._change(fraction=checkpoint.fraction, checkpoint=checkpoint, message=message)

    def start_over(self) -> None:
        """Discard the checkpoint: the training does not resume from it."""
        self._resumed_fraction = 0.0
        self._change(checkpoint=None)

    def checkpoint_stored(self, checkpoint: Checkpoint | None) -> None:
        """Set the newest stored checkpoint."""
        self._change(checkpoint=checkpoint)

    def fetching(self, done: int, total: int) -> None:
        """Set how many of `total` images are fetched."""
        self._change(fraction=TRAINING_STARTS * done / max(1, total), message=f"Fetching images: {done} of {total}")

    def begin(self, epochs: int, steps: int, fold: Fold = ONLY) -> None:
        """Start training, or a fold of it: number of epochs, and of steps in each."""
        self._epochs = epochs
        message = in_fold(f"Training: {epochs} epochs of {steps} steps", *fold)
        fraction = _fraction(fold.share(0.0))
        self._change(fraction=fraction, fold=fold, epoch_total=epochs, step_total=steps, message=message)

    def step(
        self,
        epoch: int,
        step: int,
        *,
        classification_loss: float | None,
        images_per_second: float | None,
        fraction: float | None = None,
    ) -> None:
        """Complete a step; epochs and steps count from 1. `fraction` is the completed share of the fold, by default that of the steps.

        If the fraction is larger, time will end the training: the number of epochs becomes an estimate.
        """
        done = epoch - 1 + step / self.snapshot.step_total
        share = max(done / self._epochs, fraction or 0.0)
        epochs = max(epoch, min(self._epochs, math.ceil(done / share)))
        fold = self.snapshot.fold
        mark = ProgressPoint(self._clock(), fold.share(share))
        self._first_step = self._first_step or mark
        self._change(
            fraction=_fraction(mark.share),
            epoch_current=epoch,
            epoch_total=epochs,
            step_current=step,
            classification_loss=classification_loss,
            images_per_second=images_per_second,
            message=in_fold(f"Epoch {epoch} of {epochs}", *fold),
            seconds_left=seconds_left(self._first_step, mark),
        )

    def epoch_end(self, metrics: dict[str, float] | None = None) -> None:
        """Complete an epoch, with the metrics measured after it, if any."""
        self._change(metrics=metrics or self.snapshot.metrics)

    def uploading(self, metrics: dict[str, float]) -> None:
        """End training and start the upload of the model."""
        self._change(fraction=TRAINING_ENDS, metrics=metrics, message="Uploading the model", seconds_left=None)

    def complete(self, model: StoredObject) -> Snapshot:
        """Return the last snapshot. The listener does not get it: its report is sent separately, until it has arrived."""
        self.snapshot = replace(
            self.snapshot, fraction=1.0, model=model, message="The model is uploaded", seconds_left=None
        )
        return self.snapshot

    def _change(self, **changes: object) -> None:
        changed = replace(self.snapshot, **changes)  # type: ignore[arg-type]
        self.snapshot = replace(changed, fraction=max(changed.fraction, self._resumed_fraction))
        self._listener(self.snapshot)


def _fraction(share: float) -> float:
    """Return the fraction of everything, from the completed share of the training."""
    return TRAINING_STARTS + (TRAINING_ENDS - TRAINING_STARTS) * share
