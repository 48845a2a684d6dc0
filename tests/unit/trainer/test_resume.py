"""A training that was interrupted and goes on ends as one that was not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.toy import Toy, ToyParameters, same, toy_run, weights
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.evaluation import Evaluation
from vott_trainer.learning import Data, learn
from vott_trainer.training_run import TrainingRun

EPOCHS, STEPS = 4, 3  # 18 points to learn from, 6 a step
PARAMETERS = ToyParameters(epochs=EPOCHS, batchSize=6, learningRate=0.05)


class DiedError(Exception):
    """What SIGKILL would do."""


class StopsAt(Toy):
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
    learn(Toy(), run, PARAMETERS)
    return weights(run)


def die() -> None:
    raise DiedError


def as_toy(plugin: Toy) -> Toy:
    """The work's digest names the class: in the trainer's own tests all of these are one plugin."""
    plugin.__class__.__qualname__, plugin.__class__.__module__ = Toy.__qualname__, Toy.__module__
    return plugin


def interrupted(run: TrainingRun, step: int) -> None:
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(step, run.interruption.request)), run, PARAMETERS)


@pytest.mark.parametrize("step", range(1, EPOCHS * STEPS))
def test_a_training_stopped_by_sigterm_at_any_step_ends_with_the_same_weights(
    step: int, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), step)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    assert any("went on from epoch" in note for note in run.notes)


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
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)


def test_a_training_interrupted_again_and_again_ends_with_the_same_weights(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    for attempt in range(EPOCHS * STEPS - 1):
        interrupted(toy_run(tmp_path / str(attempt), store=tmp_path / "store"), 1)
    run = toy_run(tmp_path / "last", store=tmp_path / "store")
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)


def test_sigterm_while_the_model_is_measured_loses_nothing(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    class Asked(Toy):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
            run.interruption.request()
            return super().evaluate(model, data, device)

    run = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(Asked()), run, PARAMETERS)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
    assert all("accuracy" in row for row in trained.history)


def test_without_a_place_for_checkpoints_the_next_attempt_begins_anew(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first"), 5)
    run = toy_run(tmp_path / "second")
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
    assert any("No checkpoints were kept" in note for note in run.notes)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    store = tmp_path / "store"
    interrupted(toy_run(tmp_path / "first", store=store), 4)
    interrupted(toy_run(tmp_path / "second", store=store), 3)
    newest = json.loads((store / "index.json").read_text())["checkpoints"][0]
    (store / newest["slot"]).write_bytes(b"damaged")
    run = toy_run(tmp_path / "third", store=store)
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
    assert any("epoch 2, step 1 " in note for note in run.notes)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"checkpoints": [{"slot": 1}]}', b"\xff"])
def test_a_damaged_index_means_that_all_begins_anew(
    content: bytes, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    (tmp_path / "store" / "index.json").write_bytes(content)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
    assert not run.notes


def test_a_checkpoint_of_other_parameters_is_not_gone_on_from(tmp_path: Path) -> None:
    interrupted(toy_run(tmp_path / "first", store=tmp_path / "store"), 4)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    trained = learn(Toy(), run, PARAMETERS.model_copy(update={"epochs": 5}))
    assert len(trained.history) == 5
    assert not run.notes


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
    learn(Toy(), run, PARAMETERS)
    run.forget_checkpoints()
    assert not list(store.iterdir())


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    uninterrupted: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device", "0.pt")

    monkeypatch.setattr("torch.save", full)
    run = toy_run(tmp_path / "first", store=tmp_path / "store", every_seconds=0)
    monkeypatch.setattr(Toy, "export", lambda *_args: {})
    learn(Toy(), run, PARAMETERS)
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    learn(Toy(), run, PARAMETERS)
    assert same(weights(run), uninterrupted)
