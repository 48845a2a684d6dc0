"""Losses and gradients that are not finite: the error names the step and the images of the process that caused it."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.toy_learner import Net, ToyLearner, ToyParameters, toy_run
from vott_trainer.errors import NonFiniteLossError
from vott_trainer.learning import distributed as processes
from vott_trainer.learning import learn
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Loop, LoopSettings
from vott_trainer.learning.non_finite import NonFinite
from vott_trainer.learning.state import TrainingState

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


def test_loss_that_is_not_finite_names_step_and_images(tmp_path: Path) -> None:
    class Infinite(ToyLearner):
        steps: ClassVar[int] = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            type(self).steps += 1
            factor = torch.inf if self.steps == 5 else 1.0
            return {name: loss * factor for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"became inf at epoch 2, step 2, images point \d+, point"):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS)


def test_gradient_that_is_not_finite_names_its_own_step(tmp_path: Path) -> None:
    class Steep(ToyLearner):
        steps: ClassVar[int] = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            type(self).steps += 1
            losses = dict(super().loss(model, batch))
            if self.steps == 5:
                next(model.parameters()).register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
            return losses

    with pytest.raises(NonFiniteLossError, match=r"The gradient became nan at epoch 2, step 2, images point"):
        learn(Steep(), toy_run(tmp_path), PARAMETERS)


def test_step_that_fails_because_of_the_loss_before_it_names_that_loss(tmp_path: Path) -> None:
    """On a GPU a loss is checked one step later, and a loss function may refuse infinite predictions before that."""

    class Refuses(ToyLearner):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
            raise ValueError("matrix contains invalid numeric entries")

    plugin, run = Refuses(), toy_run(tmp_path)
    items = plugin.data(run, PARAMETERS).training
    batches = Batches(plugin, items, batch_size=6, seed=0, ranks=run.ranks, workers=1)
    state = TrainingState(Net(), peak_learning_rate=0.1, ema_decay=0.0)
    loop = Loop(plugin, state, batches, LoopSettings(epochs=1, seed=0), run, lambda _model: None)
    loop._losses.add(torch.full((3,), torch.nan), ["point 7"], "epoch 1, step 1")
    with pytest.raises(NonFiniteLossError, match="The loss became nan at epoch 1, step 1, images point 7"):
        loop.run()


def test_error_names_only_some_of_many_images(tmp_path: Path) -> None:
    class Infinite(ToyLearner):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: loss * torch.inf for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"images (point \d+, ){9}point \d+ and 8 others\."):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS.model_copy(update={"batch_size": 18}))


class Others:
    """Replaces torch.distributed by two processes, of which the other one found `bad`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bad: NonFinite | None = None
        monkeypatch.setattr(processes, "world_size", lambda: 2)
        monkeypatch.setattr(processes, "gathered", lambda here, _kind: [here, [self.bad] if self.bad else []])


class Spoiled(ToyLearner):
    """Has a gradient that is not finite in step 5, as a bad loss of another process causes it."""

    def __init__(self) -> None:
        self._steps = 0

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self._steps += 1
        if self._steps == 5:
            next(model.parameters()).register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
        return dict(super().loss(model, batch))


def test_images_of_the_process_with_the_bad_loss_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Others(monkeypatch).bad = NonFinite("loss", torch.inf, "epoch 2, step 2", ["theirs"])
    with pytest.raises(NonFiniteLossError, match=r"The loss became inf at epoch 2, step 2, images theirs\. Check"):
        learn(Spoiled(), toy_run(tmp_path), PARAMETERS)


def test_without_a_bad_loss_the_images_of_all_processes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Others(monkeypatch).bad = NonFinite("gradient", torch.nan, "epoch 2, step 2", ["theirs"])
    with pytest.raises(
        NonFiniteLossError, match=r"The gradient became nan at epoch 2, step 2, images (point \d+, ){6}theirs\."
    ):
        learn(Spoiled(), toy_run(tmp_path), PARAMETERS)
