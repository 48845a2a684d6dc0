"""A training that is interrupted and resumed gives the same result as one that is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.annotated_images import serve_annotated
from tests.support.http_server import Answer, HttpServer
from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.data import image_download
from vott_trainer.errors import InterruptedTrainingError, TemporaryFailureError
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.learning import learn
from vott_trainer.learning.checkpointing import Checkpointing
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import Data, Evaluation
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun

EPOCHS, STEPS = 4, 3  # 18 points to learn from, 6 a step
PARAMETERS = ToyParameters(epochs=EPOCHS, batchSize=6, learningRate=0.05)


class DiedError(Exception):
    """Stands for SIGKILL."""


class StopsAt(ToyLearner):
    """Calls `end` in the loss of step number `step`, counted from 1 over the whole training."""

    def __init__(self, step: int, end: Callable[[], None]) -> None:
        self._left, self._end = step, end

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self._left -= 1
        if self._left == 0:
            self._end()
        return dict(super().loss(model, batch))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    run = toy_run(tmp_path_factory.mktemp("whole"))
    learn(ToyLearner(), run, PARAMETERS)
    return trained_weights(run)


def die() -> None:
    raise DiedError


def as_toy(plugin: ToyLearner) -> ToyLearner:
    """Give the plugin the class name of `ToyLearner`, which is part of the work's fingerprint."""
    plugin.__class__.__qualname__, plugin.__class__.__module__ = ToyLearner.__qualname__, ToyLearner.__module__
    return plugin


def resumed(run: TrainingRun) -> bool:
    """Whether it did not start over, which would give the same weights."""
    return any("resumed from epoch" in note for note in run.notes)


def interrupted(run: TrainingRun, step: int) -> None:
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(step, run.interruption.request)), run, PARAMETERS)


@pytest.mark.parametrize("step", range(1, EPOCHS * STEPS))
def test_training_stopped_by_sigterm_at_any_step_ends_with_the_same_weights(
    step: int, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), step)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    assert resumed(run)


@pytest.mark.parametrize("step", range(2, EPOCHS * STEPS + 1))
def test_training_killed_at_any_step_resumes_from_its_last_checkpoint(
    step: int, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    run = toy_run(tmp_path / "first", store=tmp_path / "store", every_seconds=0)
    with pytest.raises(DiedError):
        learn(as_toy(StopsAt(step, die)), run, PARAMETERS)
    assert run.checkpoints
    run.checkpoints.wait()
    assert (tmp_path / "store" / "index.json").exists()
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert resumed(run)


def test_training_interrupted_repeatedly_ends_with_the_same_weights(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    for attempt in range(EPOCHS * STEPS - 1):
        interrupted(toy_run(tmp_path / str(attempt), store=tmp_path / "store"), 1)
    run = toy_run(tmp_path / "last", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert sum("resumed from epoch" in note for note in run.notes) == EPOCHS * STEPS - 1


@pytest.mark.parametrize("number", range(1, PARAMETERS.epochs + 1 if PARAMETERS.epochs else 0))
@pytest.mark.parametrize("patience", [0, 9])
def test_sigterm_during_an_evaluation_loses_nothing(number: int, patience: int, tmp_path: Path) -> None:
    parameters = PARAMETERS.model_copy(update={"early_stopping": patience})
    whole = toy_run(tmp_path / "whole")
    expected = learn(ToyLearner(), whole, parameters)

    class Asked(ToyLearner):
        evaluations = 0

        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
            self.evaluations += 1
            if self.evaluations == number:
                run.interruption.request()
            return super().evaluate(model, data, device)

    run = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(Asked()), run, parameters)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, parameters)
    assert equal_weights(trained_weights(run), trained_weights(whole))
    assert [row["epoch"] for row in trained.history] == [row["epoch"] for row in expected.history]
    assert all("accuracy" in row for row in trained.history)
    assert resumed(run)


def test_without_a_location_for_checkpoints_the_next_attempt_starts_over(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first"), 5)
    run = toy_run(tmp_path / "second")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert any("No checkpoints were kept" in note for note in run.notes)


def test_damaged_checkpoint_is_replaced_by_the_one_before(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    store = tmp_path / "store"
    interrupted(toy_run(tmp_path / "first", store=store), 4)
    interrupted(toy_run(tmp_path / "second", store=store), 3)
    newest = json.loads((store / "index.json").read_text())["checkpoints"][0]
    (store / newest["slot"]).write_bytes(b"damaged")
    run = toy_run(tmp_path / "third", store=store)
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert any("epoch 2, step 1 " in note for note in run.notes)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"checkpoints": [{"slot": 1}]}', b"\xff"])
def test_damaged_index_makes_the_training_start_over(
    content: bytes, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    (tmp_path / "store" / "index.json").write_bytes(content)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert not resumed(run)
    assert any("could not be read" in note and "started over" in note for note in run.notes)


def test_checkpoint_of_other_parameters_is_not_resumed(tmp_path: Path) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS.model_copy(update={"epochs": 5}))
    assert len(trained.history) == 5
    assert any("is for other images or parameters. The training started over" in note for note in run.notes)


@pytest.mark.parametrize(
    "variant",
    [{"ema_decay": 0.0}, {"early_stopping": 2}, {"gradient_accumulation_steps": 3}, {"seed": 5}],
    ids=lambda variant: next(iter(variant)),
)
def test_training_with_other_parameters_resumes_too(variant: dict[str, Any], tmp_path: Path) -> None:
    parameters = PARAMETERS.model_copy(update=variant)
    whole, first = toy_run(tmp_path / "whole"), toy_run(tmp_path / "first", store=tmp_path / "store")
    learn(ToyLearner(), whole, parameters)
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(8, first.interruption.request)), first, parameters)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), second, parameters)
    assert equal_weights(trained_weights(second), trained_weights(whole))
    assert resumed(second)


def test_training_with_divided_steps_resumes_with_as_many_parts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Small(StopsAt):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            if len(batch["labels"]) > 3:
                raise torch.OutOfMemoryError
            return dict(super().loss(model, batch))

    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(Small(8, first.interruption.request)), first, PARAMETERS)
    assert "divided into 2 parts" in caplog.text
    caplog.clear()
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(as_toy(Small(1000, die)), second, PARAMETERS)
    assert resumed(second)
    assert "too little GPU memory" not in caplog.text
    assert any("divided into 2 parts" in note for note in second.notes)


@pytest.mark.parametrize("is_valid", [True, False])
def test_state_with_losses_that_are_not_finite_is_not_saved(is_valid: bool, tmp_path: Path) -> None:
    run = toy_run(tmp_path, store=tmp_path / "store", every_seconds=0)
    state = TrainingState(nn.Linear(2, 2), peak_learning_rate=0.1, ema_decay=0.0)
    Checkpointing(run, "work").save_if_due(state, lambda: is_valid)
    assert run.checkpoints
    run.checkpoints.wait()
    assert (run.checkpoints.newest is not None) == is_valid


@pytest.mark.parametrize(("seconds", "is_saved"), [(59.9, False), (60.0, True)])
def test_finished_training_is_saved_if_it_took_a_minute(seconds: float, is_saved: bool, tmp_path: Path) -> None:
    run = toy_run(tmp_path, store=tmp_path / "store")
    state = TrainingState(nn.Linear(2, 2), peak_learning_rate=0.1, ema_decay=0.0)
    state.history.add_seconds("training", seconds)
    Checkpointing(run, "work").save_finished(state)
    assert run.checkpoints
    assert (run.checkpoints.newest is not None) == is_saved


def test_training_that_stopped_early_does_not_continue_when_its_export_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vott_trainer.learning.checkpointing.WORTH_SAVING_SECONDS", 0.0)

    class Graded(ToyLearner):
        metrics: ClassVar[list[float]] = [0.5, 0.9, 0.7, 0.6, 0.9, 0.9]

        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
            return Evaluation({"metric": self.metrics.pop(0)})

    class DiesInExport(Graded):
        def export(self, model: nn.Module, data: Data, parameters: Any, folder: Path) -> dict[str, Any]:
            super().export(model, data, parameters, folder)
            raise DiedError

    parameters = PARAMETERS.model_copy(update={"epochs": 8, "early_stopping": 2})
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(DiedError):
        learn(as_toy(DiesInExport()), first, parameters)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(as_toy(Graded()), second, parameters)
    assert len(trained.history) == 4
    assert equal_weights(trained_weights(second), trained_weights(first))
    assert resumed(second)


def test_checkpoint_without_loss_scaling_is_resumed_with_it() -> None:
    bf16, fp16 = (TrainingState(nn.Linear(2, 2), peak_learning_rate=0.1, ema_decay=0.0) for _ in range(2))
    fp16.scaler = torch.GradScaler("cpu", enabled=True)
    fp16.load_state_dict(bf16.state_dict())
    assert fp16.scaler.is_enabled()


def test_checkpoint_of_another_network_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    monkeypatch.setattr(ToyLearner, "model", lambda *_args: nn.Linear(2, 2))
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS)
    assert len(trained.history) == EPOCHS
    assert any("did not fit this training, which started over" in note for note in run.notes)


@pytest.mark.parametrize("lost", ["index.json", "0.pt"])
def test_store_that_does_not_answer_is_a_temporary_failure_and_nothing_is_overwritten(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    stored = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    get = FolderStore.get

    def silent(store: FolderStore, name: str, file: Path) -> bool:
        if name == lost:
            raise TemporaryFailureError("HTTP 503")
        return get(store, name, file)

    monkeypatch.setattr(FolderStore, "get", silent)
    with pytest.raises(TemporaryFailureError):
        learn(ToyLearner(), toy_run(tmp_path / "second", store=tmp_path / "store"), PARAMETERS)
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == stored


def test_training_waits_for_images_that_it_had_before_the_interruption(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        image_download, "RetryPolicy", lambda **options: RetryPolicy(**options, sleep=lambda _seconds: None)
    )
    annotations = serve_annotated(server, 12)

    def run(name: str) -> TrainingRun:
        return toy_run(tmp_path / name, store=tmp_path / "store", annotations=annotations)

    interrupted(run("first"), 7)
    server.always["/images/0.png"] = Answer(503)
    with pytest.raises(TemporaryFailureError, match=r"1 are missing.*does not start over without them"):
        learn(ToyLearner(), run("second"), PARAMETERS)
    del server.always["/images/0.png"]
    learn(ToyLearner(), third := run("third"), PARAMETERS)
    assert resumed(third)
    server.always["/images/0.png"] = Answer(404)  # deleted: waiting can't help
    learn(ToyLearner(), last := run("last"), PARAMETERS)
    assert any("is for other images or parameters. The training started over." in note for note in last.notes)


def test_metrics_of_other_libraries_are_saved_and_restored(tmp_path: Path) -> None:
    class Numpy(ToyLearner):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
            return Evaluation({"metric": np.float64(0.5), "never": np.nan})

    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(type("N", (Numpy, StopsAt), {})(7, first.interruption.request)), first, PARAMETERS)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(as_toy(Numpy()), second, PARAMETERS)
    assert resumed(second)
    assert second.progress.snapshot.metrics == {"metric": 0.5}


def test_progress_does_not_fall_while_the_data_is_fetched_again(tmp_path: Path) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    assert run.checkpoints
    reached = run.progress.snapshot.fraction
    assert reached > 0.4
    run.progress.fetching(1, 10)
    assert run.progress.snapshot.fraction == reached
    assert run.progress.snapshot.checkpoint is not None


def test_last_two_checkpoints_are_kept_and_all_are_removed_at_the_end(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for attempt in range(3):
        interrupted(toy_run(tmp_path / str(attempt), store=store), 2)
    checkpoints = json.loads((store / "index.json").read_text())["checkpoints"]
    assert [(checkpoint["epoch"], checkpoint["step"]) for checkpoint in checkpoints] == [(2, 3), (2, 1)]
    assert sorted(path.name for path in store.iterdir()) == ["0.pt", "1.pt", "index.json"]
    run = toy_run(tmp_path / "last", store=store)
    learn(ToyLearner(), run, PARAMETERS)
    run.delete_checkpoints()
    assert not list(store.iterdir())


def test_full_disk_loses_the_checkpoint_not_the_training(
    uninterrupted: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device", "0.pt")

    monkeypatch.setattr("torch.save", full)
    run = toy_run(tmp_path / "first", store=tmp_path / "store", every_seconds=0)
    monkeypatch.setattr(ToyLearner, "export", lambda *_args: {})
    learn(ToyLearner(), run, PARAMETERS)
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
