"""Snapshot: what is known about the training at one time."""

from dataclasses import dataclass, field

from vott_trainer.plugin_api import Checkpoint, Fold
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.stores.store import StoredObject


@dataclass(frozen=True)
class Snapshot:
    """The training at one time. Epochs and steps count from 1; 0 is before the first.

    Attributes:
        fraction: completed share of everything, upload included, 0 to 1.
        epoch_current: the epoch.
        epoch_total: number of epochs.
        step_current: completed steps of the epoch.
        step_total: steps of an epoch.
        classification_loss: running mean of the epoch.
        images_per_second: of the epoch's training steps.
        metrics: of the last evaluation.
        model: the delivered model.
        message: one sentence for the callback.
        seconds_left: until the training ends, without upload; None while unknown.
        checkpoint: the newest stored checkpoint.
        fold: the part of a cross-validation that the epochs and steps belong to.
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
    fold: Fold = ONLY
