"""Trainings of a learner: seed, moving average."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.learning import learn
from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.vision.classifiers import build

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


@pytest.mark.parametrize("name", ["resnet_tiny", "efficientnet_lite0", "mobilenet_v3_small"])
def test_classifier_trains_on_a_single_image_of_the_minimum_size(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 40"):
        ClassificationParameters(imageSize=39)
    side = ClassificationParameters(imageSize=40).image_size or 0
    assert build(name, 3).train()(torch.rand(1, 3, side, side)).shape == (1, 3)


def test_moving_average_is_exported_unless_disabled(tmp_path: Path) -> None:
    averaged, last = toy_run(tmp_path / "averaged"), toy_run(tmp_path / "last")
    learn(ToyLearner(), averaged, PARAMETERS)
    learn(ToyLearner(), last, PARAMETERS.model_copy(update={"ema_decay": 0.0}))
    assert not close(trained_weights(averaged), trained_weights(last))


def test_model_is_the_same_for_the_same_seed_only(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / str(number)) for number in range(3)]
    for run, seed in zip(runs, (7, 7, 8), strict=True):
        learn(ToyLearner(), run, PARAMETERS.model_copy(update={"seed": seed}))
    assert equal_weights(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not equal_weights(trained_weights(runs[0]), trained_weights(runs[2]))
