"""A GPU memory too small for a whole batch: steps are divided into parts, with the same result."""

import random
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined] # re-exported without saying so
from torch.nn.parallel import DistributedDataParallel

from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, equal_weights, toy_run, trained_weights
from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import distributed as processes
from vott_trainer.learning import learn, out_of_memory
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Loop, LoopSettings
from vott_trainer.learning.out_of_memory import double_parts, fit_to_memory
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import Data, Evaluation
from vott_trainer.process.ranks import Ranks

PARAMETERS = ToyParameters(epochs=4, batchSize=6, learningRate=0.05)


class SmallMemory(ToyLearner):
    """Runs out of memory with more than `capacity` items."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity

    def model(self, data: Data, parameters: ToyParameters) -> nn.Module:  # noqa: ARG002
        return nn.Linear(2, 2)  # without randomness: the parts of a batch give what the whole gives

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(batch["labels"]) > self._capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return dict(super().loss(model, batch))


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_batch_too_large_for_the_memory_is_divided_with_the_same_result(tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / name) for name in ("large", "small")]
    learn(SmallMemory(6), runs[0], PARAMETERS)
    learn(SmallMemory(2), runs[1], PARAMETERS)
    assert close(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not any("memory" in note for note in runs[0].notes)
    assert any("divided into 4 parts" in note for note in runs[1].notes)


def test_memory_too_small_for_one_image_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidParametersError, match=r"does not hold a single image.*Lower imageSize"):
        learn(SmallMemory(0), toy_run(tmp_path), PARAMETERS)


@pytest.mark.parametrize("batch_size", [6, 5], ids=["equal parts", "unequal parts"])
def test_gradient_accumulation_gives_what_the_whole_batch_gives(batch_size: int, tmp_path: Path) -> None:
    runs = [toy_run(tmp_path / name) for name in ("whole", "parts")]
    parameters = PARAMETERS.model_copy(update={"batch_size": batch_size})
    learn(SmallMemory(6), runs[0], parameters)
    learn(SmallMemory(2), runs[1], parameters.model_copy(update={"gradient_accumulation_steps": 3}))
    assert close(trained_weights(runs[0]), trained_weights(runs[1]))
    assert not any("memory" in note for note in runs[1].notes)


class Wide(SmallMemory):
    """Runs out of memory with more than `capacity` pixels; a batch is padded to its tallest and its widest item."""

    def batch(self, items: Sequence[Any], rngs: Sequence[random.Random]) -> dict[str, Any]:
        batch: dict[str, Any] = super().batch(items, rngs)
        numbers = [int(item.name.split()[1]) for item in items]
        return batch | {"pixels": [torch.empty({9: 5}.get(n, 1), {20: 7}.get(n, 1)) for n in numbers]}

    def loss(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        height, width = (max(pixels.shape[side] for pixels in batch["pixels"]) for side in (0, 1))
        if height * width * len(batch["pixels"]) > self._capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ToyLearner.loss(self, model, batch)  # type: ignore[return-value]


class Fitting:
    """A training before its first step."""

    def __init__(self, plugin: ToyLearner, folder: Path, *, batch_size: int = 6) -> None:
        run = toy_run(folder)
        data = plugin.data(run, PARAMETERS)
        self.plugin = plugin
        self.batches = Batches(plugin, data.training, batch_size=batch_size, seed=0, ranks=Ranks(), workers=1)
        torch.manual_seed(1)
        self.state = TrainingState(plugin.model(data, PARAMETERS), peak_learning_rate=0.1, ema_decay=0.0)
        self.loop = Loop(plugin, self.state, self.batches, LoopSettings(3, 0), run, lambda _model: Evaluation({}))

    def parts(self) -> int:
        fit_to_memory(self.plugin, self.batches, self.state)
        assert self.batches.parts == self.state.parts
        return self.batches.parts


def test_several_processes_find_the_number_of_parts_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = iter([True, False])  # another process needs two parts
    monkeypatch.setattr(processes, "any_process", lambda *mine: [any(mine) or next(theirs)])
    fitting = Fitting(ToyLearner(), tmp_path)
    before = {name: tensor.clone() for name, tensor in fitting.state.model.state_dict().items()}
    assert fitting.parts() == 2
    assert equal_weights(dict(fitting.state.model.state_dict()), before)


def test_processes_agree_after_each_attempt_so_that_all_try_equally_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorded(SmallMemory):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            log.append(f"{len(batch['labels'])} items")
            return super().loss(model, batch)

    def any_process(mine: bool) -> list[bool]:
        log.append("agreed")
        return [mine or log.count("agreed") < 3]

    log: list[str] = []
    monkeypatch.setattr(processes, "any_process", any_process)
    assert Fitting(Recorded(3), tmp_path).parts() == 4
    assert log == ["6 items", "agreed", "3 items", "3 items", "agreed", "2 items", "2 items", "2 items", "agreed"]


@pytest.mark.parametrize(("pixels", "parts"), [(6 * 5 * 7, 1), (6 * 5 * 7 - 1, 2), (2 * 5 * 7 - 1, 8)])
def test_trial_step_is_padded_to_the_tallest_and_the_widest_of_all_items(
    pixels: int, parts: int, tmp_path: Path
) -> None:
    assert Fitting(Wide(pixels), tmp_path).parts() == parts


def test_memory_too_small_in_any_process_is_an_error_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Fitting(SmallMemory(0), tmp_path).parts()
    fitting = Fitting(SmallMemory(6), tmp_path)
    monkeypatch.setattr(processes, "any_process", lambda *flags: [True for _ in flags])
    with pytest.raises(torch.OutOfMemoryError):
        fitting.parts()


def test_step_built_before_the_last_doubling_does_not_double_again(tmp_path: Path) -> None:
    fitting = Fitting(ToyLearner(), tmp_path)
    (step, *_) = fitting.batches.epoch(1)
    assert [double_parts(step, fitting.batches, fitting.state) for _ in range(2)] == [True, True]
    assert fitting.batches.parts == fitting.state.parts == 2


def test_memory_of_the_optimizer_must_fit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    fitting = Fitting(ToyLearner(), tmp_path)
    monkeypatch.setattr(torch, "empty_like", full)
    with pytest.raises(torch.OutOfMemoryError):
        fitting.parts()


def test_memory_is_spared_as_long_as_a_step_can_be_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = SmallMemory(6)

    def ballast(_device: torch.device) -> Tensor:
        """Half of the memory, while it exists."""
        occupied = torch.empty(1)
        plugin._capacity = 3
        weakref.finalize(occupied, setattr, plugin, "_capacity", 6)
        return occupied

    monkeypatch.setattr(out_of_memory, "ballast", ballast)
    assert Fitting(plugin, tmp_path).parts() == 2
    assert plugin._capacity == 6, "released"

    def none_left(_device: torch.device) -> Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(out_of_memory, "ballast", none_left)
    assert Fitting(SmallMemory(6), tmp_path).parts() == 8, "one for each item, and then without spare memory"


def test_ballast_is_a_tenth_of_a_gpus_memory_and_nothing_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert out_of_memory.ballast(torch.device("cpu")) is None
    allocated: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(total_memory=1000))
    monkeypatch.setattr(torch, "empty", lambda *size, **options: allocated.append((*size, options["dtype"])))
    out_of_memory.ballast(torch.device("cuda", 0))
    assert allocated == [(100, torch.uint8)]


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    """torch.distributed with this process only."""
    distributed.init_process_group("gloo", store=FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_distributed_training_after_fitting_to_memory_learns_the_same(
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


def test_memory_that_runs_out_later_ends_a_distributed_training_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    remedy = r"ran out of memory, with up to 6 images in it at once\. Lower batchSize or imageSize, or raise gradientAccumulationSteps above 1"
    with pytest.raises(InvalidParametersError, match=remedy):
        learn(SmallMemory(3), toy_run(tmp_path), PARAMETERS)
    with pytest.raises(InvalidParametersError, match=r"does not hold a single image.*Lower imageSize"):
        learn(SmallMemory(0), toy_run(tmp_path), PARAMETERS.model_copy(update={"gradient_accumulation_steps": 6}))
