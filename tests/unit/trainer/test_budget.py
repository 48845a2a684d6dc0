"""The time budget: it lowers the learning rate in time and ends the training, also in the middle of an epoch."""

from pathlib import Path

import pytest
from torch import nn

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, toy_run
from vott_trainer.command_line import parse
from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import budget, learn
from vott_trainer.learning.state import TrainingState
from vott_trainer.parameters import validate
from vott_trainer.plugins.hello_world import HelloWorldParameters
from vott_trainer.settings import TrainSettings


def state(epoch: int, step: int, **seconds: float) -> TrainingState:
    result = TrainingState(nn.Linear(2, 2), peak_learning_rate=0.1, ema_decay=0.0)
    result.epoch, result.step = epoch, step
    result.means.seconds = seconds.pop("current", 0.0)
    result.history.seconds = dict(seconds)
    return result


def progress(current: TrainingState, minutes: float | None) -> float:
    return budget.progress(current, epochs=4, steps=10, minutes=minutes, spent=budget.milliseconds(current))


def test_progress_is_that_of_the_steps_without_a_budget() -> None:
    assert progress(state(1, 0), None) == 0.0
    assert progress(state(2, 5, training=1e6), None) == 0.375
    assert progress(state(5, 0), None) == 1.0


def test_progress_is_that_of_the_time_if_that_is_further() -> None:
    spent = state(2, 5, training=60, evaluation=15, current=15)
    assert progress(spent, 3) == 0.5
    assert progress(spent, 30) == 0.375
    assert progress(spent, 1) == 1.0


def test_training_ends_in_time_with_a_low_learning_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 points in batches of 6: 4 steps an epoch, 100 epochs planned, of which 60 seconds allow 10 steps."""
    monkeypatch.setattr(
        "vott_trainer.learning.budget.milliseconds", lambda state: 6000 * (4 * (state.epoch - 1) + state.step)
    )
    run = toy_run(tmp_path)
    parameters = ToyParameters(epochs=100, batchSize=6, learningRate=0.05, budgetMinutes=1)
    trained = learn(ToyLearner(), run, parameters)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3]
    assert trained.history[-1]["learningRate"] < 0.1 * 0.05
    assert trained.metrics, "measured at its end"
    assert "The budget of 1 minute ended the training in epoch 3 of 100." in " ".join(run.notes)


def test_training_within_its_budget_is_the_same_as_without(tmp_path: Path) -> None:
    histories = []
    for number, minutes in enumerate((None, 1000)):
        parameters = ToyParameters(epochs=3, batchSize=6, learningRate=0.05, budgetMinutes=minutes)
        histories.append(learn(ToyLearner(), toy_run(tmp_path / str(number)), parameters).history)
    one, other = ([row["loss"] for row in history] for history in histories)
    assert one == other


def test_administrators_budget_is_a_default_for_plugins_that_have_one() -> None:
    assert validate(ToyParameters, {}, budget_minutes=7.0).model_dump()["budget_minutes"] == 7.0
    assert validate(ToyParameters, {"budgetMinutes": 3}, budget_minutes=7.0).model_dump()["budget_minutes"] == 3.0
    assert validate(HelloWorldParameters, {}, budget_minutes=7.0) == HelloWorldParameters()


@pytest.mark.parametrize("text", ["-1", "soon", "inf"])
def test_administrators_budget_must_be_a_number(text: str) -> None:
    arguments = ["--annotations", "https://store/a.csv", "--model", "https://store/m"]
    with pytest.raises(
        InvalidParametersError, match=f"VOTT_BUDGET_MINUTES: expected a number of minutes, found '{text}'"
    ):
        parse(arguments, {"VOTT_BUDGET_MINUTES": text})
    settings = parse(arguments, {"VOTT_BUDGET_MINUTES": "2.5"})
    assert isinstance(settings, TrainSettings)
    assert settings.budget_minutes == 2.5
