"""Cross-validation: a training for each fold, measured together, resumed in any fold, in the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from tests.support.annotated_images import serve_annotated, serve_classified
from tests.support.http_server import HttpServer
from tests.unit.trainer.folded_learner import FoldedLearner, FoldedParameters
from tests.unit.trainer.test_poisoned_checkpoints import planted, put
from tests.unit.trainer.toy_learner import ToyLearner, equal_weights, toy_run, trained_weights
from vott_trainer import report
from vott_trainer.errors import InterruptedTrainingError, InvalidParametersError
from vott_trainer.learning import learn
from vott_trainer.plugin_api import DataParameters, Fold, FoldMetrics, Links, Trained
from vott_trainer.plugins.classification import Classification, ClassificationParameters
from vott_trainer.plugins.detection import Detection, DetectionParameters
from vott_trainer.plugins.segmentation import Segmentation, SegmentationParameters
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun

FOLDS, EPOCHS, STEPS = 3, 2, 3  # 24 points, of which each fold holds out 8 and learns the others, 6 a step
IMAGES = 12


PARAMETERS = FoldedParameters(folds=FOLDS, epochs=EPOCHS, batchSize=6, learningRate=0.02)


def folded(run: TrainingRun, parameters: FoldedParameters = PARAMETERS) -> tuple[Trained, dict[str, Tensor]]:
    return learn(FoldedLearner(), run, parameters), trained_weights(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, dict[str, Tensor]]:
    return folded(toy_run(tmp_path_factory.mktemp("whole")))


def folds_of(trained: Trained) -> list[FoldMetrics]:
    assert trained.evaluation
    return trained.evaluation.folds


def test_metrics_are_of_all_folds_together(whole: tuple[Trained, dict[str, Tensor]]) -> None:
    folds = folds_of(whole[0])
    assert [fold.items for fold in folds] == [8, 8, 8]
    assert whole[0].metrics["accuracy"] == pytest.approx(sum(fold.metrics["accuracy"] for fold in folds) / FOLDS)
    assert len({fold.metrics["accuracy"] for fold in folds}) > 1


@pytest.mark.parametrize("where", [{"step": step} for step in range(1, FOLDS * EPOCHS * STEPS)] + [
    {"call": call} for call in range(1, FOLDS * (EPOCHS + 1) + 1)
], ids=str)  # fmt: skip
def test_training_interrupted_in_any_fold_ends_with_the_same_result(
    where: dict[str, int], whole: tuple[Trained, dict[str, Tensor]], tmp_path: Path
) -> None:
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(FoldedLearner(**where, end=first.interruption.request), first, PARAMETERS)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained, weights = folded(second)
    assert equal_weights(weights, whole[1])
    assert folds_of(trained) == folds_of(whole[0])
    assert trained.metrics == whole[0].metrics
    (note,) = (note for note in second.notes if "resumed from epoch" in note)
    calls, steps = EPOCHS + 1, EPOCHS * STEPS
    fold = 1 + ((where["step"] - 1) // steps if "step" in where else (where["call"] - 1) // calls)
    assert note.startswith(f"Fold {fold}: Interrupted, and resumed")


def test_finished_folds_are_not_trained_again(tmp_path: Path) -> None:
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(FoldedLearner(step=EPOCHS * STEPS + 2, end=first.interruption.request), first, PARAMETERS)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learner = FoldedLearner()
    trained = learn(learner, second, PARAMETERS)
    assert -learner.steps_left == (FOLDS - 1) * EPOCHS * STEPS - 2
    assert trained.details["seconds"]["training"] > 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([{"outputs": "[]", "notes": [], "seconds": {}}], "AssertionError"),
        ([{"outputs": "no JSON", "notes": [], "seconds": {}}], "TrainerError"),
        ([{"outputs": "[]", "notes": [], "seconds": {}}] * FOLDS, "finished: more folds than there are"),
        ([{"outputs": 1, "notes": [], "seconds": {}}], "finished.0: "),
        ("x", "finished: "),
    ],
)
def test_poisoned_folds_make_the_training_start_over(
    value: Any, reason: str, whole: tuple[Trained, dict[str, Tensor]], tmp_path: Path
) -> None:
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(FoldedLearner(step=8, end=first.interruption.request), first, PARAMETERS)
    planted(tmp_path / "store", put(value, "finished"))
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained, _ = folded(second)
    assert folds_of(trained) == folds_of(whole[0])
    assert f"did not fit this training, which started over ({reason}" in "\n".join(second.notes)


def test_each_fold_gets_its_share_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 points in batches of 6: 3 steps an epoch, of which 60 of 180 seconds allow 10."""
    monkeypatch.setattr(
        "vott_trainer.learning.budget.milliseconds", lambda state: 6000 * (3 * (state.epoch - 1) + state.step)
    )
    run, learner = toy_run(tmp_path), FoldedLearner()
    learn(learner, run, PARAMETERS.model_copy(update={"epochs": 100, "budget_minutes": 3.0}))
    assert -learner.steps_left == FOLDS * 10
    assert [note.partition(" ended")[0] for note in run.notes if "budget" in note] == [
        f"Fold {number}: The budget of 1 minute" for number in (1, 2, 3)
    ]


def test_other_files_are_fetched_once_as_their_links_may_expire(server: HttpServer, tmp_path: Path) -> None:
    run, url = toy_run(tmp_path), server.serve("/weights", b"weights")
    assert run.fetch(url, "weights") == run.fetch(url, "weights")
    assert [request.path for request in server.requests] == ["/weights"]


def test_plugin_without_folds_refuses_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidParametersError, match="does not support cross-validation: leave out the parameter folds"
    ):
        learn(ToyLearner(), toy_run(tmp_path), PARAMETERS)


class Interrupted(Detection):
    """Detection that is interrupted in a step, counted over all folds."""

    def __init__(self, step: int, end: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._end = step, end

    def loss(self, model: nn.Module, batch: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._end()
        return super().loss(model, batch)


def as_detection(plugin: Interrupted) -> Interrupted:
    """Give the plugin the class name of `Detection`, which is part of the work's fingerprint."""
    plugin.__class__.__qualname__, plugin.__class__.__module__ = Detection.__qualname__, Detection.__module__
    return plugin


QUICK = {"architecture": "fcos_tiny", "epochs": 8, "imageSize": 96, "batchSize": 4, "folds": FOLDS}
QUICK |= {"learningRate": 0.01, "emaDecay": 0, "earlyStopping": 0}
"""Each of three folds has 8 training images, so 2 steps in each of 8 epochs."""


class Detecting:
    """Trainings of a detector on the same images."""

    def __init__(self, annotations: str, folder: Path) -> None:
        self._annotations, self._folder = annotations, folder
        self.snapshots: list[Snapshot] = []

    def run(self, name: str, parameters: DataParameters) -> TrainingRun:
        folder = self._folder / name
        return TrainingRun(
            Links(self._annotations, "http://host/m", None),
            folder,
            Progress(self.snapshots.append),
            parameters=parameters,
            checkpoints=lambda: Checkpoints(FolderStore(self._folder / "store"), folder / "checkpoints", 3600.0),
            interruption=Interruption(leave=lambda _code: None),
        )


@pytest.fixture(scope="module")
def detecting(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with HttpServer() as server:
        yield Detecting(serve_annotated(server, IMAGES), tmp_path_factory.mktemp("detecting"))


@pytest.fixture(scope="module")
def detected(detecting: Detecting) -> tuple[Trained, TrainingRun, list[Snapshot]]:
    parameters = DetectionParameters.model_validate(QUICK)
    run = detecting.run("whole", parameters)
    return learn(Detection(), run, parameters), run, [*detecting.snapshots]


def weights_of(run: TrainingRun) -> bytes:
    return (run.model_dir / "model.safetensors").read_bytes()


def test_detector_is_measured_on_every_image_once(detected: tuple[Trained, TrainingRun, list[Snapshot]]) -> None:
    trained, run, _ = detected
    assert sum(fold.items for fold in folds_of(trained)) == IMAGES
    assert trained.evaluation
    assert trained.evaluation.confusion
    objects = sum(len(image.boxes) for image in run.dataset().images)
    assert sum(map(sum, trained.evaluation.confusion.counts[:-1])) == objects
    assert trained.evaluation.intervals.metrics.keys() == {"mAP50", "mAP"}
    assert set(trained.evaluation.thresholds) == {"circle", "square", "triangle"}


def test_delivered_model_is_the_one_that_is_trained_without_cross_validation(
    detected: tuple[Trained, TrainingRun, list[Snapshot]], detecting: Detecting
) -> None:
    parameters = DetectionParameters.model_validate({**QUICK, "folds": None, "holdoutFraction": 1 / FOLDS})
    alone = detecting.run("alone", parameters)
    trained = learn(Detection(), alone, parameters)
    assert weights_of(alone) == weights_of(detected[1])
    assert plain(trained) == folds_of(detected[0])[-1].metrics


def plain(trained: Trained) -> dict[str, float]:
    return {name: float(value) for name, value in trained.metrics.items()}


def test_progress_rises_over_all_folds(detected: tuple[Trained, TrainingRun, list[Snapshot]]) -> None:
    _, _, snapshots = detected
    fractions = [round(snapshot.fraction, 9) for snapshot in snapshots]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(0.95)
    steps = [snapshot.message for snapshot in snapshots if snapshot.message.startswith("Epoch")]
    assert steps[0] == "Epoch 1 of 8, fold 1 of 3"
    assert steps[-1] == "Epoch 8 of 8, fold 3 of 3"
    (second,) = {s.fraction for s in snapshots if s.message == "Training: 8 epochs of 2 steps, fold 2 of 3"}
    assert second == pytest.approx(0.05 + 0.9 / 3)


def test_detector_interrupted_in_the_second_fold_ends_with_the_same_result(
    detected: tuple[Trained, TrainingRun, list[Snapshot]], detecting: Detecting
) -> None:
    parameters = DetectionParameters.model_validate(QUICK)
    first = detecting.run("first", parameters)
    with pytest.raises(InterruptedTrainingError):
        learn(as_detection(Interrupted(21, first.interruption.request)), first, parameters)
    detecting.snapshots.clear()
    second = detecting.run("second", parameters)
    trained = learn(Detection(), second, parameters)
    assert weights_of(second) == weights_of(detected[1])
    assert folds_of(trained) == folds_of(detected[0])
    assert trained.metrics == detected[0].metrics
    assert trained.metrics["mAP50"] > 0
    assert trained.evaluation
    assert detected[0].evaluation
    assert trained.evaluation.per_class == detected[0].evaluation.per_class
    fractions = [snapshot.fraction for snapshot in detecting.snapshots if snapshot.epoch_total]
    assert fractions == sorted(fractions)
    assert fractions[0] > 0.05 + 0.9 / 3


def test_classifier_is_measured_on_every_image_once(server: HttpServer, tmp_path: Path) -> None:
    quick = {"architecture": "resnet_tiny", "epochs": 2, "imageSize": 40, "folds": 2}
    parameters = ClassificationParameters.model_validate(quick)
    run = Detecting(serve_classified(server, IMAGES), tmp_path).run("classified", parameters)
    trained = learn(Classification(), run, parameters)
    assert [fold.items for fold in folds_of(trained)] == [6, 6]
    assert trained.evaluation
    assert trained.evaluation.confusion
    assert sum(map(sum, trained.evaluation.confusion.counts)) == IMAGES


def test_segmentation_holds_out_every_image_once(detecting: Detecting) -> None:
    parameters = SegmentationParameters.model_validate({"imageSize": 96, "folds": FOLDS})
    run, plugin = detecting.run("segmented", parameters), Segmentation()
    held_out = [plugin.data(run, parameters, Fold(number, FOLDS)).held_out for number in range(1, FOLDS + 1)]
    together = held_out[0] + held_out[1] + held_out[2]  # type: ignore[operator] # Samples
    assert len({image.path for image in together.images}) == len(together) == IMAGES


def test_report_has_a_table_of_the_folds(detected: tuple[Trained, TrainingRun, list[Snapshot]], tmp_path: Path) -> None:
    trained = detected[0]
    result = report.Result(
        "detection", trained.metrics, counts=trained.details["counts"], evaluation=trained.evaluation
    )
    report.write(tmp_path, result)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Cross-validation</h2>" in page
    assert f"On {IMAGES} images, each held out in one of {FOLDS} folds, the model found" in page
    rows = [f"Fold {number}" for number in range(1, FOLDS + 1)] + ["All together"]
    assert all(f'<th scope="row">{row}</th>' in page for row in rows)
    assert all(f"| {row} |" in (tmp_path / "README.md").read_text(encoding="utf-8") for row in rows)
    folds = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["folds"]
    assert [(one["heldOutImages"], one["metrics"]) for one in folds] == [
        (fold.items, fold.metrics) for fold in folds_of(trained)
    ]
