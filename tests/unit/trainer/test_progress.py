"""Progress of a training: its fraction, from fetching to the upload."""

from vott_trainer.progress.progress import Progress
from vott_trainer.stores.store import StoredObject

MODEL = StoredObject("https://store/models/model.tgz", "ab" * 32, 123)


def test_progress_covers_fetching_training_and_upload() -> None:
    reported: list[float] = []
    progress = Progress(lambda snapshot: reported.append(round(snapshot.fraction, 3)))
    progress.fetching(1, 2)
    progress.begin(epochs=2, steps=2)
    for epoch in (1, 2):
        for step in (1, 2):
            progress.step(epoch, step, classification_loss=0.5, images_per_second=1.0)
        progress.epoch_end({"mAP50": 0.5})
    progress.uploading({"mAP50": 0.5})
    assert reported == [0.025, 0.05, 0.275, 0.5, 0.5, 0.725, 0.95, 0.95, 0.95]
    assert progress.complete(MODEL).fraction == 1.0


def test_epochs_are_estimated_if_time_will_end_the_training() -> None:
    progress = Progress()
    progress.begin(epochs=100, steps=10)
    progress.step(1, 5, classification_loss=None, images_per_second=None, fraction=0.25)
    assert (progress.snapshot.epoch_total, progress.snapshot.message) == (2, "Epoch 1 of 2")
    progress.step(2, 5, classification_loss=None, images_per_second=None, fraction=0.375)
    assert progress.snapshot.epoch_total == 4
    progress.step(4, 1, classification_loss=None, images_per_second=None, fraction=1.0)
    assert (progress.snapshot.epoch_total, progress.snapshot.message) == (4, "Epoch 4 of 4")


def test_epochs_are_those_planned_while_steps_decide() -> None:
    progress = Progress()
    progress.begin(epochs=3, steps=10)
    progress.step(2, 1, classification_loss=None, images_per_second=None, fraction=0.2)
    assert progress.snapshot.epoch_total == 3
