"""Early stopping: the best model with it, the last without."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.learning import learn
from vott_trainer.plugin_api import Data, Evaluation

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
    plugin, run = FixedMetrics(0.5, 0.8, 0.7, 0.6, 0.8), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"epochs": 8, "early_stopping": 2}))
    assert len(trained.history) == 4
    assert equal_weights(trained_weights(run), plugin.evaluated[1])
    assert trained.metrics == {"metric": 0.8}, "evaluated again, as exported"


def test_without_early_stopping_the_last_model_is_exported(tmp_path: Path) -> None:
    plugin, run = FixedMetrics(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS)
    assert trained.metrics == {"metric": 0.6}
    assert equal_weights(trained_weights(run), plugin.evaluated[-1])
