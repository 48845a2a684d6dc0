"""What is known about the training at an instant, and the one place that changes it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vott_trainer.plugin_api import Checkpoint
from vott_trainer.progress.eta import Mark, seconds_left
from vott_trainer.stores.store import StoredObject

TRAINING_BEGINS = 0.05  # share of the whole that fetching takes
TRAINING_ENDS = 0.95  # the rest is packing and uploading


@dataclass(frozen=True)
class Snapshot:
    """A training at an instant. `fraction` is over everything (0 to 1); epochs and steps count from 1, 0 is before the first.

    `classification_loss` is the running mean of the epoch; `images_per_second` is of the epoch's training steps;
    `seconds_left` is until the training ends, uploading aside, and None where that is not known.
    """

    fraction: float = 0.0
    epoch_current: int = 0
    epoch_total: int = 0
    step_current: int = 0
    step_total: int = 0
    classification_loss: float | None = None
    images_per_second: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    model: StoredObject | None = None
    message: str = "Starting"
    seconds_left: float | None = None
    checkpoint: Checkpoint | None = None


Listener = Callable[[Snapshot, bool], None]


class Progress:
    """Holds the newest snapshot and tells the listener of each change; the second argument says whether an epoch ended."""

    def __init__(
        self,
        listener: Listener = lambda _snapshot, _milestone: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.snapshot = Snapshot()
        self._listener = listener
        self._clock = clock
        self._begun: Mark | None = None
        self._reached = 0.0

    def going_on(self, checkpoint: Checkpoint) -> None:
        """An earlier attempt has come that far: until this one is farther, it shows as that."""
        self._reached = checkpoint.fraction
        message = f"Going on from epoch {checkpoint.epoch}"
        self._change(fraction=checkpoint.fraction, checkpoint=checkpoint, message=message)

    def anew(self) -> None:
        """The earlier attempt is of no use."""
        self._reached = 0.0
        self._change(checkpoint=None)

    def checkpointed(self, checkpoint: Checkpoint | None) -> None:
        """A checkpoint is stored."""
        self._change(checkpoint=checkpoint)

    def fetching(self, done: int, total: int) -> None:
        """`done` of `total` images are here."""
        self._change(fraction=TRAINING_BEGINS * done / max(1, total), message=f"Fetching images: {done} of {total}")

    def begin(self, epochs: int, steps: int) -> None:
        """Training starts: how many epochs, and steps an epoch."""
        message = f"Training: {epochs} epochs of {steps} steps"
        self._change(fraction=TRAINING_BEGINS, epoch_total=epochs, step_total=steps, message=message)

    def step(
        self, epoch: int, step: int, *, classification_loss: float | None, images_per_second: float | None
    ) -> None:
        """Step `step` of epoch `epoch` is done, both counted from 1."""
        now = self.snapshot
        trained = (epoch - 1 + step / now.step_total) / now.epoch_total
        mark = Mark(self._clock(), trained)
        self._begun = self._begun or mark
        self._change(
            fraction=TRAINING_BEGINS + (TRAINING_ENDS - TRAINING_BEGINS) * trained,
            epoch_current=epoch,
            step_current=step,
            classification_loss=classification_loss,
            images_per_second=images_per_second,
            message=f"Epoch {epoch} of {now.epoch_total}",
            seconds_left=seconds_left(self._begun, mark),
        )

    def epoch_end(self, metrics: dict[str, float] | None = None) -> None:
        """An epoch is over; `metrics` are those measured after it, if any were."""
        self._change(milestone=True, metrics=metrics or self.snapshot.metrics)

    def uploading(self, metrics: dict[str, float]) -> None:
        """The training is over; the model is on its way to the labeller's container."""
        self._change(fraction=TRAINING_ENDS, metrics=metrics, message="Uploading the model", seconds_left=None)

    def done(self, model: StoredObject) -> Snapshot:
        """Return the last snapshot. The listener is not told: the last report is sent apart, and is waited for."""
        self.snapshot = replace(
            self.snapshot, fraction=1.0, model=model, message="The model is uploaded", seconds_left=None
        )
        return self.snapshot

    def _change(self, *, milestone: bool = False, **changes: object) -> None:
        changed = replace(self.snapshot, **changes)  # type: ignore[arg-type]
        self.snapshot = replace(changed, fraction=max(changed.fraction, self._reached))
        self._listener(self.snapshot, milestone)
