"""ToyLearner with cross-validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.unit.trainer.toy_learner import Point, ToyLearner, ToyParameters
from vott_trainer.plugin_api import Data, Evaluation, Fold, Run
from vott_trainer.plugin_api.fold import ONLY


class FoldedParameters(ToyParameters):
    folds: int | None = None


@dataclass
class Score:
    """The correct class of a point, and whether it was found."""

    label: int
    correct: bool


class FoldedLearner(ToyLearner):
    """Calls `end` in the loss of step number `step`, or in call number `call` of `outputs`."""

    output = Score

    def __init__(self, step: int = 0, call: int = 0, end: Callable[[], None] = lambda: None) -> None:
        self.steps_left, self._call, self._end = step, call, end

    def data(self, run: Run, parameters: FoldedParameters, fold: Fold = ONLY) -> Data:  # type: ignore[override]
        whole = super().data(run, parameters)
        points = [*whole.held_out, *whole.training]
        held_out = [point for number, point in enumerate(points) if number % fold.total + 1 == fold.number]
        return Data([point for point in points if point not in held_out], held_out, whole.labels)

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.steps_left -= 1
        if self.steps_left == 0:
            self._end()
        return dict(super().loss(model, batch))

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
        return self.measure(data, self.outputs(model, data.held_out, device))

    @torch.inference_mode()
    def outputs(self, model: nn.Module, items: Sequence[Point], device: torch.device) -> list[Score]:
        self._call -= 1
        if self._call == 0:
            self._end()
        classes = model.eval()(torch.stack([point.position for point in items]).to(device)).argmax(1).tolist()
        return [Score(int(one.label), int(one.label) == found) for one, found in zip(items, classes, strict=True)]

    def measure(self, data: Data, outputs: list[Score]) -> Evaluation:
        assert [output.label for output in outputs] == [int(point.label) for point in data.held_out]
        return Evaluation({"accuracy": sum(output.correct for output in outputs) / len(outputs)})
