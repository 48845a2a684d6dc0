"""Early stopping: the best model with it, the last without."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.learning import evaluation, learn
from vott_trainer.plugin_api import Data, Evaluation, Interval, Intervals

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


class FixedMetrics(ToyLearner):
    """Returns the given metrics from its evaluations, and keeps the evaluated weights."""

    def __init__(self, *metrics: float) -> None:
        self._metrics = iter(metrics)
        self.evaluated: list[dict[str, Tensor]] = []

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
        self.evaluated.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return Evaluation({"metric": next(self._metrics)})


def test_early_stopping_exports_the_best_model(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"epochs": 8, "early_stopping": 2}))
    assert len(trained.history) == 4
    assert equal_weights(trained_weights(run), plugin.evaluated[1])
    assert trained.metrics == {"metric": 0.8}, "not evaluated again"


def test_early_stopping_follows_the_metric_that_the_evaluation_selects(tmp_path: Path) -> None:
    class Selects(FixedMetrics):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
            evaluation = super().evaluate(model, data, device)
            return Evaluation({"rises": float(len(self.evaluated)), **evaluation.metrics}, selection="metric")

    plugin, run = Selects(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"epochs": 8, "early_stopping": 2}))
    assert equal_weights(trained_weights(run), plugin.evaluated[1])
    assert list(trained.metrics) == ["rises", "metric"]


def test_intervals_are_computed_for_the_finished_model_alone(tmp_path: Path) -> None:
    computed: list[float] = []

    class Uncertain(FixedMetrics):
        def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
            evaluation = super().evaluate(model, data, device)
            value = evaluation.metrics["metric"]

            def compute() -> Intervals:
                computed.append(value)
                return Intervals({"metric": Interval(value - 0.1, value + 0.1)})

            return replace(evaluation, compute_intervals=compute)

    trained = learn(Uncertain(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path), PARAMETERS)
    assert computed == [0.6]
    assert trained.evaluation
    assert trained.evaluation.intervals.metrics["metric"] == Interval(0.5, 0.7)


def test_without_early_stopping_the_last_model_is_exported(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS)
    assert trained.metrics == {"metric": 0.6}
    assert equal_weights(trained_weights(run), plugin.evaluated[-1])


def test_best_model_of_the_last_epoch_is_not_evaluated_again(tmp_path: Path) -> None:
    plugin = FixedMetrics(0.5, 0.6, 0.7, 0.8)
    learn(plugin, toy_run(tmp_path), PARAMETERS.model_copy(update={"early_stopping": 2}))
    assert len(plugin.evaluated) == 4


def test_equal_metric_is_no_improvement(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.5, 0.5, 0.5, 0.5), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"early_stopping": 2}))
    assert len(trained.history) == 3
    assert equal_weights(trained_weights(run), plugin.evaluated[0])


def test_model_that_learns_late_is_not_stopped_while_nothing_is_right_yet(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"epochs": 7, "early_stopping": 2}))
    assert trained.metrics == {"metric": 0.6}


def test_last_of_the_models_that_got_nothing_right_is_exported(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.0, 0.0, 0.0, 0.0), toy_run(tmp_path)
    learn(plugin, run, PARAMETERS.model_copy(update={"early_stopping": 2}))
    assert equal_weights(trained_weights(run), plugin.evaluated[3])


@pytest.mark.parametrize(
    ("epochs", "stops_early", "due"),
    [
        (8, False, [1, 2, 3, 4, 5, 6, 7, 8]),
        (100, False, [13, 26, 39, 52, 65, 78, 91, 100]),
        (20, True, list(range(1, 21))),
        (199, True, [*range(10, 191, 10), 199]),
    ],
)
def test_evaluations_are_few_and_the_last_epoch_has_one(epochs: int, stops_early: bool, due: list[int]) -> None:
    assert [e for e in range(1, epochs + 1) if evaluation.is_due(e, epochs, stops_early=stops_early)] == due
