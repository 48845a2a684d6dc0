"""A training that was interrupted and goes on ends as one that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.errors import InterruptedTrainingError, TemporaryFailureError
from vott_trainer.learning import learn
from vott_trainer.learning.saving import Saving
from vott_trainer.learning.state import State
from vott_trainer.plugin_api import Data, Evaluation
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun

EPOCHS, STEPS = 4, 3  # 18 points to learn from, 6 a step
PARAMETERS = ToyParameters(epochs=EPOCHS, batchSize=6, learningRate=0.05)


class DiedError(Exception):
    """What SIGKILL would do."""


class StopsAt(ToyLearner):
    """Asks for the end, or dies, in the loss of step number `step`, counted from 1 over the whole training."""

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
    """The work's digest names the class: in the trainer's own tests all of these are one plugin."""
    plugin.__class__.__qualname__, plugin.__class__.__module__ = ToyLearner.__qualname__, ToyLearner.__module__
    return plugin


def went_on(run: TrainingRun) -> bool:
    """Whether it did not begin anew: that would give the same weights, too."""
    return any("went on from epoch" in note for note in run.notes)


def interrupted(run: TrainingRun, step: int) -> None:
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(step, run.interruption.request)), run, PARAMETERS)


@pytest.mark.parametrize("step", range(1, EPOCHS * STEPS))
def test_a_training_stopped_by_sigterm_at_any_step_ends_with_the_same_weights(
    step: int, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), step)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    assert went_on(run)


@pytest.mark.parametrize("step", range(2, EPOCHS * STEPS + 1))
def test_a_training_killed_at_any_step_goes_on_from_its_last_checkpoint(
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
    assert went_on(run)


def test_a_training_interrupted_again_and_again_ends_with_the_same_weights(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    for attempt in range(EPOCHS * STEPS - 1):
        interrupted(toy_run(tmp_path / str(attempt), store=tmp_path / "store"), 1)
    run = toy_run(tmp_path / "last", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert sum("went on from epoch" in note for note in run.notes) == EPOCHS * STEPS - 1


def test_sigterm_while_the_model_is_measured_loses_nothing(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    class Asked(ToyLearner):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
            run.interruption.request()
            return super().evaluate(model, data, device)

    run = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(Asked()), run, PARAMETERS)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert all("accuracy" in row for row in trained.history)
    assert went_on(run)


def test_without_a_place_for_checkpoints_the_next_attempt_begins_anew(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first"), 5)
    run = toy_run(tmp_path / "second")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert any("No checkpoints were kept" in note for note in run.notes)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
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
def test_a_damaged_index_means_that_all_begins_anew(
    content: bytes, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    (tmp_path / "store" / "index.json").write_bytes(content)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), run, PARAMETERS)
    assert equal_weights(trained_weights(run), uninterrupted)
    assert not went_on(run)
    assert any("could not be read" in note and "started over" in note for note in run.notes)


def test_a_checkpoint_of_other_parameters_is_not_gone_on_from(tmp_path: Path) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS.model_copy(update={"epochs": 5}))
    assert len(trained.history) == 5
    assert any("is of other images or parameters. The training started over" in note for note in run.notes)


@pytest.mark.parametrize(
    "variant",
    [{"ema_decay": 0.0}, {"early_stopping": 2}, {"gradient_accumulation_steps": 3}, {"seed": 5}],
    ids=lambda variant: next(iter(variant)),
)
def test_what_changes_the_course_of_a_training_goes_on_too(variant: dict[str, Any], tmp_path: Path) -> None:
    parameters = PARAMETERS.model_copy(update=variant)
    whole, first = toy_run(tmp_path / "whole"), toy_run(tmp_path / "first", store=tmp_path / "store")
    learn(ToyLearner(), whole, parameters)
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(8, first.interruption.request)), first, parameters)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(ToyLearner(), second, parameters)
    assert equal_weights(trained_weights(second), trained_weights(whole))
    assert went_on(second)


def test_a_training_that_needed_parts_goes_on_in_as_many(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Small(StopsAt):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            if len(batch["labels"]) > 3:
                raise torch.OutOfMemoryError
            return dict(super().loss(model, batch))

    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(Small(8, first.interruption.request)), first, PARAMETERS)
    assert "in 2 parts" in caplog.text
    caplog.clear()
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(as_toy(Small(1000, die)), second, PARAMETERS)
    assert went_on(second)
    assert "too little GPU memory" not in caplog.text
    assert any("in 2 parts" in note for note in second.notes)


@pytest.mark.parametrize("fit", [True, False])
def test_a_state_that_is_not_fit_to_go_on_from_is_not_saved(fit: bool, tmp_path: Path) -> None:
    run = toy_run(tmp_path, store=tmp_path / "store", every_seconds=0)
    state = State(nn.Linear(2, 2), learning_rate=0.1, steps=9, ema_decay=0.0)
    Saving(run, "work").between(state, lambda: fit)
    assert run.checkpoints
    run.checkpoints.wait()
    assert (run.checkpoints.newest is not None) == fit


def test_a_training_that_had_stopped_early_does_not_train_on_when_its_export_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vott_trainer.learning.saving.WORTH_SAVING_SECONDS", 0.0)

    class Graded(ToyLearner):
        figures: ClassVar[list[float]] = [0.5, 0.9, 0.7, 0.6, 0.9, 0.9]

        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
            return Evaluation({"figure": self.figures.pop(0)})

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
    assert went_on(second)


def test_a_checkpoint_of_a_gpu_without_scaling_serves_one_that_needs_it() -> None:
    bf16, fp16 = (State(nn.Linear(2, 2), learning_rate=0.1, steps=5, ema_decay=0.0) for _ in range(2))
    fp16.scaler = torch.GradScaler("cpu", enabled=True)
    fp16.restore(bf16.captured())
    assert fp16.scaler.is_enabled()


def test_a_checkpoint_that_does_not_fit_the_network_any_more_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    monkeypatch.setattr(ToyLearner, "model", lambda *_args: nn.Linear(2, 2))
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(ToyLearner(), run, PARAMETERS)
    assert len(trained.history) == EPOCHS
    assert any("did not fit this training, which began anew" in note for note in run.notes)


@pytest.mark.parametrize("lost", ["index.json", "0.pt"])
def test_a_store_that_does_not_answer_is_asked_again_later_and_nothing_is_overwritten(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    get = FolderStore.get

    def silent(store: FolderStore, name: str, file: Path) -> bool:
        if name == lost:
            raise TemporaryFailureError("HTTP 503")
        return get(store, name, file)

    monkeypatch.setattr(FolderStore, "get", silent)
    with pytest.raises(TemporaryFailureError):
        learn(ToyLearner(), toy_run(tmp_path / "second", store=tmp_path / "store"), PARAMETERS)
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == kept


def test_metrics_of_other_libraries_can_be_saved_and_read_again(tmp_path: Path) -> None:
    class Numpy(ToyLearner):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
            return Evaluation({"figure": np.float64(0.5), "never": np.nan})

    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(type("N", (Numpy, StopsAt), {})(7, first.interruption.request)), first, PARAMETERS)
    second = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(as_toy(Numpy()), second, PARAMETERS)
    assert went_on(second)
    assert second.progress.snapshot.metrics == {"figure": 0.5}


def test_progress_does_not_fall_back_while_the_data_is_fetched_again(tmp_path: Path) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 7)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    assert run.checkpoints
    reached = run.progress.snapshot.fraction
    assert reached > 0.4
    run.progress.fetching(1, 10)
    assert run.progress.snapshot.fraction == reached
    assert run.progress.snapshot.checkpoint is not None


def test_the_last_two_checkpoints_are_kept_and_all_are_removed_at_the_end(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for attempt in range(3):
        interrupted(toy_run(tmp_path / str(attempt), store=store), 2)
    kept = json.loads((store / "index.json").read_text())["checkpoints"]
    assert [(one["epoch"], one["step"]) for one in kept] == [(2, 3), (2, 1)]
    assert sorted(path.name for path in store.iterdir()) == ["0.pt", "1.pt", "index.json"]
    run = toy_run(tmp_path / "last", store=store)
    learn(ToyLearner(), run, PARAMETERS)
    run.delete_checkpoints()
    assert not list(store.iterdir())


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
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
