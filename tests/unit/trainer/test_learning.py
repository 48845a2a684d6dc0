"""What the loop does beside learning: memory, early stopping, averages, errors that name their images."""

import random
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined] # re-exported without saying so
from torch.nn.parallel import DistributedDataParallel

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.errors import InvalidParametersError, NonFiniteLossError
from vott_trainer.learning import device, group, learn, loop, schedule
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Course, Loop
from vott_trainer.learning.state import State
from vott_trainer.plugin_api import Data, Evaluation
from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.process.ranks import Ranks
from vott_trainer.vision.classifiers import build

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


class SmallMemory(ToyLearner):
    """A device whose memory holds no more than so many items at once."""

    def __init__(self, most: int) -> None:
        self._most = most

    def model(self, data: Data, parameters: ToyParameters) -> nn.Module:  # noqa: ARG002
        return nn.Linear(2, 2)  # nothing random, so that parts of a batch learn what the whole does

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(batch["labels"]) > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return dict(super().loss(model, batch))


class Measured(ToyLearner):
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
    assert close(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not any("memory" in note for note in runs[0].notes)
    assert any("in 4 parts" in note for note in runs[1].notes)


def test_a_memory_that_holds_no_single_image_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidParametersError, match=r"does not hold a single image.*Lower imageSize"):
        learn(SmallMemory(0), toy_run(tmp_path), PARAMETERS)


def test_gradient_accumulation_gives_what_the_whole_batch_gives(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / name) for name in ("whole", "parts")]
    learn(SmallMemory(6), runs[0], PARAMETERS)
    learn(SmallMemory(2), runs[1], PARAMETERS.model_copy(update={"gradient_accumulation_steps": 3}))
    assert close(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not any("memory" in note for note in runs[1].notes)


def test_a_loss_that_is_not_finite_names_step_and_images(tmp_path: Path) -> None:
    class Infinite(ToyLearner):
        steps: ClassVar[int] = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            type(self).steps += 1
            factor = torch.inf if self.steps == 5 else 1.0
            return {name: loss * factor for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"became inf at epoch 2, step 2, images point \d+, point"):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS)


def test_a_gradient_that_is_not_finite_names_its_own_step(tmp_path: Path) -> None:
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


def test_an_error_names_only_some_of_many_images(tmp_path: Path) -> None:
    class Infinite(ToyLearner):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: loss * torch.inf for name, loss in super().loss(model, batch).items()}

    with pytest.raises(NonFiniteLossError, match=r"images (point \d+, ){9}point \d+ and 8 others\."):
        learn(Infinite(), toy_run(tmp_path), PARAMETERS.model_copy(update={"batch_size": 18}))


class Others:
    """What the other processes of the group say, in the place of torch.distributed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bad: loop._NotFinite | None = None
        monkeypatch.setattr(group, "size", lambda: 2)
        monkeypatch.setattr(group, "all_of", lambda here, _kind: [here, [self.bad] if self.bad else []])


class Spoiled(ToyLearner):
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


class Wide(SmallMemory):
    """A device whose memory holds so many places at once, where a batch is padded to its tallest and its widest item."""

    def batch(self, items: Sequence[Any], rngs: Sequence[random.Random]) -> dict[str, Any]:
        made: dict[str, Any] = super().batch(items, rngs)
        numbers = [int(item.name.split()[1]) for item in items]
        return made | {"pixels": [torch.empty({9: 5}.get(n, 1), {20: 7}.get(n, 1)) for n in numbers]}

    def loss(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        height, width = (max(pixels.shape[side] for pixels in batch["pixels"]) for side in (0, 1))
        if height * width * len(batch["pixels"]) > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ToyLearner.loss(self, model, batch)  # type: ignore[return-value]


class Fitting:
    """A training that is about to find out what fits its memory."""

    def __init__(self, plugin: ToyLearner, folder: Path, *, batch_size: int = 6) -> None:
        run = toy_run(folder)
        data = plugin.data(run, PARAMETERS)
        self.batches = Batches(plugin, data.training, batch_size=batch_size, seed=0, ranks=Ranks(), workers=1)
        torch.manual_seed(1)
        self.state = State(plugin.model(data, PARAMETERS), learning_rate=0.1, steps=9, ema_decay=0.0)
        self.loop = Loop(plugin, self.state, self.batches, Course(3, 0), run, lambda _model: Evaluation({}))

    def parts(self) -> int:
        self.loop.fit_memory()
        assert self.batches.parts == self.state.parts
        return self.batches.parts


def test_several_processes_find_in_how_many_parts_a_step_fits_before_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "most", lambda here: 2 * here)  # another one needs more
    fitting = Fitting(ToyLearner(), tmp_path)
    before = {name: tensor.clone() for name, tensor in fitting.state.model.state_dict().items()}
    assert fitting.parts() == 2
    assert equal_weights(dict(fitting.state.model.state_dict()), before)
    assert Fitting(SmallMemory(2), tmp_path).parts() == 8


@pytest.mark.parametrize(("places", "parts"), [(6 * 5 * 7, 1), (6 * 5 * 7 - 1, 2), (2 * 5 * 7 - 1, 8)])
def test_what_is_tried_is_padded_to_the_tallest_and_the_widest_of_all_items(
    places: int, parts: int, tmp_path: Path
) -> None:
    assert Fitting(Wide(places), tmp_path).parts() == parts


def test_a_memory_that_holds_no_single_image_of_any_process_is_told_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Fitting(SmallMemory(0), tmp_path).parts()
    fitting = Fitting(ToyLearner(), tmp_path)
    monkeypatch.setattr(group, "anywhere", lambda *here: [True for _ in here])
    with pytest.raises(torch.OutOfMemoryError):
        fitting.parts()


def test_the_optimizers_averages_must_fit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    fitting = Fitting(ToyLearner(), tmp_path)
    monkeypatch.setattr(torch, "empty_like", full)
    with pytest.raises(torch.OutOfMemoryError):
        fitting.parts()


def test_memory_is_left_to_spare_as_long_as_a_step_can_be_divided_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = SmallMemory(6)

    def ballast(_device: torch.device) -> Tensor:
        """While it is there, half of the memory is left."""
        taken = torch.empty(1)
        plugin._most = 3
        weakref.finalize(taken, setattr, plugin, "_most", 6)
        return taken

    monkeypatch.setattr(device, "ballast", ballast)
    assert Fitting(plugin, tmp_path).parts() == 2
    assert plugin._most == 6, "it is gone"

    def none_left(_device: torch.device) -> Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(device, "ballast", none_left)
    assert Fitting(SmallMemory(6), tmp_path).parts() == 8, "as many as can be, and then without"


def test_ballast_is_a_tenth_of_a_gpus_memory_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.ballast(torch.device("cpu")) is None
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(total_memory=1000))
    monkeypatch.setattr(torch, "empty", lambda *size, **options: asked.append((*size, options["dtype"])))
    device.ballast(torch.device("cuda", 0))
    assert asked == [(100, torch.uint8)]


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    """A group of this process only, which sends its gradients to itself."""
    distributed.init_process_group("gloo", store=FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_group_that_has_tried_its_memory_learns_what_a_process_alone_learns(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    alone = Fitting(SmallMemory(2), tmp_path / "alone")
    alone.loop.run()
    request.getfixturevalue("group_of_one")
    together = Fitting(SmallMemory(2), tmp_path / "group")
    assert isinstance(together.loop._model, DistributedDataParallel)
    assert together.parts() == 4
    together.loop.run()
    assert together.state.model is not together.loop._model
    assert close(dict(alone.state.model.state_dict()), dict(together.state.model.state_dict()))


def test_memory_that_runs_out_later_ends_the_training_of_several_processes_with_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Others(monkeypatch)
    words = r"ran out, with up to 6 images in it at once\. Lower batchSize or imageSize, or raise gradientAccumulationSteps above 1"
    with pytest.raises(InvalidParametersError, match=words):
        learn(SmallMemory(3), toy_run(tmp_path), PARAMETERS)
    with pytest.raises(InvalidParametersError, match=r"does not hold a single image.*Lower imageSize"):
        learn(SmallMemory(0), toy_run(tmp_path), PARAMETERS.model_copy(update={"gradient_accumulation_steps": 6}))


class Crops(ToyParameters):
    """More items let it choose fewer epochs."""

    epochs: int | None = None

    def resolved(self, items: int, _device: torch.device) -> "Crops":
        return self.model_copy(update={"epochs": self.epochs or max(1, 48 // max(1, items))})


@pytest.mark.parametrize(("wanted", "epochs"), [(None, 2), (3, 3)])
def test_default_epochs_follow_from_the_items_and_not_from_the_images(
    wanted: int | None, epochs: int, tmp_path: Path
) -> None:
    trained = learn(ToyLearner(), toy_run(tmp_path), Crops(epochs=wanted, batchSize=6))  # 24 points of no image at all
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
    assert equal_weights(trained_weights(run), plugin.seen[1])
    assert trained.metrics == {"figure": 0.8}, "measured once more, as it is exported"


def test_without_early_stopping_the_last_model_is_taken(tmp_path: Path) -> None:
    plugin, run = Measured(0.5, 0.8, 0.7, 0.6), toy_run(tmp_path)
    trained = learn(plugin, run, PARAMETERS)
    assert trained.metrics == {"figure": 0.6}
    assert equal_weights(trained_weights(run), plugin.seen[-1])


def test_the_average_of_the_weights_is_exported_unless_unwanted(tmp_path: Path) -> None:
    averaged, last = toy_run(tmp_path / "averaged"), toy_run(tmp_path / "last")
    learn(ToyLearner(), averaged, PARAMETERS)
    learn(ToyLearner(), last, PARAMETERS.model_copy(update={"ema_decay": 0.0}))
    assert not close(trained_weights(averaged), trained_weights(last))


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / str(number)) for number in range(3)]
    for run, seed in zip(runs, (7, 7, 8), strict=True):
        learn(ToyLearner(), run, PARAMETERS.model_copy(update={"seed": seed}))
    assert equal_weights(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not equal_weights(trained_weights(runs[0]), trained_weights(runs[2]))


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    factors = [schedule.factor(step, 100) for step in range(101)]
    assert max(factors) == 1.0
    assert factors[:15] == sorted(factors[:15])
    assert factors[15:] == sorted(factors[15:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-3)
