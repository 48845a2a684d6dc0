"""What the loop does beside learning: memory, early stopping, averages, errors that name their images."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.toy import Toy, ToyParameters, same, toy_run, weights
from vott_trainer.errors import InvalidParametersError, NonFiniteLossError
from vott_trainer.evaluation import Evaluation
from vott_trainer.learning import Data, learn, schedule
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Course, Loop
from vott_trainer.learning.state import State
from vott_trainer.ranks import Ranks

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


class SmallMemory(Toy):
    """A device whose memory holds no more than so many items at once."""

    def __init__(self, most: int) -> None:
        self._most = most

    def model(self, data: Data, parameters: ToyParameters) -> nn.Module:  # noqa: ARG002
        return nn.Linear(2, 2)  # nothing random, so that parts of a batch learn what the whole does

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(batch["labels"]) > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return dict(super().loss(model, batch))


class Measured(Toy):
    """One whose evaluations say what the test wants."""

    def __init__(self, *figures: float) -> None:
        self._figures = iter(figures)
        self.seen: list[dict[str, Tensor]] = []

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:  # noqa: ARG002
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return Evaluation({"figure": next(self._figures)})


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_a_batch_too_large_for_the_memory_is_learned_in_parts_with_the_same_outcome(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / name) for name in ("large", "small")]
    learn(SmallMemory(6), runs[0], PARAMETERS)
    learn(SmallMemory(2), runs[1], PARAMETERS)
    assert close(weights(runs[0]), weights(runs[1]))
    assert not any("memory" in note for note in runs[0].notes)
    assert any("in 4 parts" in note for note in runs[1].notes)


def test_a_memory_that_holds_no_single_image_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidParametersError, match=r"does not hold a single image.*Lower imageSize"):
        learn(SmallMemory(0), toy_run(tmp_path), PARAMETERS)


def test_gradient_accumulation_gives_what_the_whole_batch_gives(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / name) for name in ("whole", "parts")]
    learn(SmallMemory(6), runs[0], PARAMETERS)
    learn(SmallMemory(2), runs[1], PARAMETERS.model_copy(update={"gradient_accumulation_steps": 3}))
    assert close(weights(runs[0]), weights(runs[1]))
    assert not any("memory" in note for note in runs[1].notes)


def test_a_loss_that_is_not_finite_names_step_and_images(tmp_path: Path) -> None:
    class Infinite(Toy):
        steps: ClassVar[int] = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            type(self).steps += 1
            factor = torch.inf if self.steps == 5 else 1.0
            return {name: loss * factor for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"became inf at epoch 2, step 2, images point \d+, point"):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS)


def test_a_gradient_that_is_not_finite_names_its_own_step(tmp_path: Path) -> None:
    class Steep(Toy):
        steps: ClassVar[int] = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            type(self).steps += 1
            losses = dict(super().loss(model, batch))
            if self.steps == 5:
                next(model.parameters()).register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
            return losses

    with pytest.raises(NonFiniteLossError, match=r"The gradient became nan at epoch 2, step 2, images point"):
        learn(Steep(), toy_run(tmp_path), PARAMETERS)


def test_an_error_names_only_some_of_many_images(tmp_path: Path) -> None:
    class Infinite(Toy):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: loss * torch.inf for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"images (point \d+, ){9}point \d+ and 8 others\."):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS.model_copy(update={"batch_size": 18}))


def test_several_processes_find_in_how_many_parts_a_step_fits_before_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin, run = SmallMemory(2), toy_run(tmp_path)
    data = plugin.data(run, PARAMETERS)
    batches = Batches(plugin, data.training, batch_size=6, seed=0, ranks=Ranks(), workers=1)
    state = State(plugin.model(data, PARAMETERS), learning_rate=0.1, steps=9, ema_decay=0.0)
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    monkeypatch.setattr("vott_trainer.learning.group.most", lambda here: 2 * here)  # another one needs more
    Loop(plugin, state, batches, Course(3, 0), run, lambda _model: Evaluation({})).fit_memory()
    assert (batches.parts, state.parts) == (8, 8)
    assert same(dict(state.model.state_dict()), before)


def test_early_stopping_takes_the_best_model(tmp_path: Path) -> None:
    plugin, run = Measured(0.5, 0.8, 0.7, 0.6, 0.8), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS.model_copy(update={"epochs": 8, "early_stopping": 2}))
    assert len(trained.history) == 4
    assert same(weights(run), plugin.seen[1])
    assert trained.metrics == {"figure": 0.8}, "measured once more, as it is exported"


def test_without_early_stopping_the_last_model_is_taken(tmp_path: Path) -> None:
    plugin, run = Measured(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS)
    assert trained.metrics == {"figure": 0.6}
    assert same(weights(run), plugin.seen[-1])


def test_the_average_of_the_weights_is_exported_unless_unwanted(tmp_path: Path) -> None:
    averaged, last = toy_run(tmp_path / "averaged"), toy_run(tmp_path / "last")
    learn(Toy(), averaged, PARAMETERS)
    learn(Toy(), last, PARAMETERS.model_copy(update={"ema_decay": 0.0}))
    assert not close(weights(averaged), weights(last))


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / str(number)) for number in range(3)]
    for run, seed in zip(runs, (7, 7, 8), strict=True):
        learn(Toy(), run, PARAMETERS.model_copy(update={"seed": seed}))
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    factors = [schedule.factor(step, 100) for step in range(101)]
    assert max(factors) == 1.0
    assert factors[:15] == sorted(factors[:15])
    assert factors[15:] == sorted(factors[15:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-3)
