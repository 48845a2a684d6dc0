"""What the loop does beside learning: memory, early stopping, averages, errors that name their images."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tests.unit.trainer.toy import Toy, ToyParameters, same, toy_run, weights
from vott_trainer.errors import InvalidParametersError, NonFiniteLossError
from vott_trainer.evaluation import Evaluation
from vott_trainer.learning import Data, group, learn, loop, schedule
from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.vision.classifiers import build

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


class Others:
    """What the other processes of the group say, in the place of torch.distributed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bad: loop._NotFinite | None = None
        self.parts = 1
        monkeypatch.setattr(group, "size", lambda: 2)
        monkeypatch.setattr(group, "all_of", lambda here: [here, self.bad])
        monkeypatch.setattr(group, "most", lambda here: max(here, self.parts))


class Spoiled(Toy):
    """Its gradient is not finite in step 5, as another process' loss makes it."""

    def __init__(self) -> None:
        self._steps = 0

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self._steps += 1
        if self._steps == 5:
            next(model.parameters()).register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
        return dict(super().loss(model, batch))


def test_images_of_the_process_whose_loss_is_not_finite_are_named_not_those_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Others(monkeypatch).bad = loop._NotFinite("loss", torch.inf, "epoch 2, step 2", ["theirs"])
    with pytest.raises(NonFiniteLossError, match=r"The loss became inf at epoch 2, step 2, images theirs\. Check"):
        learn(Spoiled(), toy_run(tmp_path), PARAMETERS)


def test_where_no_process_has_a_bad_loss_the_images_of_all_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Others(monkeypatch).bad = loop._NotFinite("gradient", torch.nan, "epoch 2, step 2", ["theirs"])
    with pytest.raises(
        NonFiniteLossError, match=r"The gradient became nan at epoch 2, step 2, images (point \d+, ){6}theirs\."
    ):
        learn(Spoiled(), toy_run(tmp_path), PARAMETERS)


def test_parts_of_a_step_are_as_many_as_the_smallest_memory_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [toy_run(tmp_path / name) for name in ("alone", "group")]
    learn(SmallMemory(6), runs[0], PARAMETERS)
    Others(monkeypatch).parts = 4
    learn(SmallMemory(3), runs[1], PARAMETERS)
    assert close(weights(runs[0]), weights(runs[1]))
    assert any("in 4 parts" in note for note in runs[1].notes)


class Crops(ToyParameters):
    """More items let it choose fewer epochs."""

    epochs: int | None = None

    def resolved(self, items: int, _device: torch.device) -> "Crops":
        return self.model_copy(update={"epochs": self.epochs or max(1, 48 // max(1, items))})


@pytest.mark.parametrize(("wanted", "epochs"), [(None, 2), (3, 3)])
def test_default_epochs_follow_from_the_items_and_not_from_the_images(
    wanted: int | None, epochs: int, tmp_path: Path
) -> None:
    trained = learn(Toy(), toy_run(tmp_path), Crops(epochs=wanted, batchSize=6))  # 24 points of no image at all
    assert len(trained.history) == epochs
    assert trained.details["settings"]["epochs"] == epochs


@pytest.mark.parametrize("name", ["resnet_tiny", "mobilenet_v3_small"])
def test_a_classifier_learns_from_a_single_image_of_the_least_size(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 40"):
        ClassificationParameters(imageSize=39)
    side = ClassificationParameters(imageSize=40).image_size or 0
    assert build(name, 3).train()(torch.rand(1, 3, side, side)).shape == (1, 3)


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
