"""Gradient accumulation: a step learns the same, however many parts and processes its batch is divided into."""

import pytest
import torch
from torch import Tensor, nn

from tests.support.step_gradients import Image, StepResult, crowded_images, step_result
from tests.unit.trainer.toy_learner import ToyLearner
from vott_trainer.learning import distributed
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.gradient_accumulation import backward_parts, normalize
from vott_trainer.plugin_api import SummedLosses


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return crowded_images()


@pytest.fixture(scope="module")
def whole(images: list[Image]) -> StepResult:
    return step_result(images)


@pytest.mark.parametrize("parts", [2, 3, 4, 8])
def test_fcos_learns_the_same_from_a_batch_in_parts(parts: int, images: list[Image], whole: StepResult) -> None:
    """Images without objects, and with many, have equal weight for each object in every division."""
    result = step_result(images, parts)
    assert result.is_close(whole)
    assert torch.allclose(result.losses, whole.losses, rtol=1e-4)


def test_fcos_learns_the_same_in_two_processes(
    images: list[Image], whole: StepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares one after the other; test_distributed has two real processes."""
    weights: list[Tensor] = []

    def recorded(weight: Tensor) -> Tensor:
        weights.append(weight)
        return weight

    monkeypatch.setattr(distributed, "summed", recorded)
    for share in (images[:4], images[4:]):
        step_result(share)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "summed", lambda _weight: torch.stack(weights).sum())
    one, two = step_result(images[:4]), step_result(images[4:], 2)
    averaged = {name: (gradient + two.gradients[name]) / 2 for name, gradient in one.gradients.items()}
    assert StepResult(averaged, torch.zeros(2)).is_close(whole)
    assert torch.allclose((one.losses + two.losses) / 2, whole.losses, rtol=1e-4)


def test_step_without_objects_is_divided_by_one(images: list[Image]) -> None:
    empty = step_result(images[:1])
    assert torch.isfinite(empty.losses).all()
    assert 0 < float(empty.losses[0]) < torch.inf
    assert any(gradient.abs().sum() > 0 for gradient in empty.gradients.values())


class Summing(ToyLearner):
    """Returns a sum over items instead of the mean, with its weight."""

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> SummedLosses:  # type: ignore[override]
        labels = batch["labels"]
        loss = nn.functional.cross_entropy(model(batch["positions"]), labels, reduction="sum")
        return SummedLosses({"classification": loss / 2, "other": loss / 2}, torch.tensor(len(labels)))


@pytest.mark.parametrize("plugin", [ToyLearner(), Summing()], ids=["means", "sums"])
def test_means_and_sums_are_divided_by_their_weight_and_the_scale_of_the_loss_taken_back(plugin: ToyLearner) -> None:
    model = nn.Linear(2, 2)
    batch = {"positions": torch.randn(6, 2), "labels": torch.tensor([0, 1, 1, 0, 1, 1])}
    mean = nn.functional.cross_entropy(model(batch["positions"]), batch["labels"])
    (expected,) = torch.autograd.grad(mean, model.weight)
    step = Step([Image("", torch.empty(0), torch.empty(0))] * 6, [], [], 2)
    step.parts = [({n: v[part] for n, v in batch.items()}, len(range(6)[part])) for part in (slice(4), slice(4, 6))]
    optimizer, scaler = torch.optim.SGD(model.parameters()), torch.GradScaler("cpu", init_scale=8.0)
    sums = backward_parts(plugin, model, scaler, step, torch.device("cpu"))
    scaler.unscale_(optimizer)
    losses = normalize(model, sums, 6)
    assert model.weight.grad is not None
    assert torch.allclose(model.weight.grad, expected, atol=1e-6)
    assert float(losses[0]) == pytest.approx(mean.item(), rel=1e-5)
