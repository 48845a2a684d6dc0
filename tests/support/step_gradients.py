"""The gradients and losses of one training step of FCOS, with different numbers of objects in the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import FileStore, destroy_process_group, init_process_group  # type: ignore[attr-defined]

from vott_trainer.learning import distributed
from vott_trainer.learning.batch_parts import Step, divide
from vott_trainer.learning.gradient_accumulation import backward_parts, normalize
from vott_trainer.plugin_api import SummedLosses
from vott_trainer.plugins.detection import Detection
from vott_trainer.vision.detectors import build

SIDE = 64


@dataclass(frozen=True)
class Image:
    """Pixels [3, H, W] and boxes [N, 4]."""

    name: str
    pixels: Tensor
    boxes: Tensor


class Images(Detection):
    """`detection` without augmentation; a batch is a list of images."""

    def loss(self, model: nn.Module, batch: list[Image]) -> SummedLosses:  # type: ignore[override]
        targets = [{"boxes": i.boxes, "labels": torch.ones(len(i.boxes), dtype=torch.int64)} for i in batch]
        losses: SummedLosses = model([image.pixels for image in batch], targets)
        return losses


def crowded_images() -> list[Image]:
    """Eight images with 0 to 7 objects."""
    generator = torch.Generator().manual_seed(1)
    images = []
    for count in range(8):
        corners = torch.rand(count, 2, generator=generator) * SIDE / 2
        pixels = torch.rand(3, SIDE, SIDE, generator=generator)
        images.append(Image(f"{count} objects", pixels, torch.cat((corners, corners + SIDE / 3), dim=1)))
    return images


@dataclass(frozen=True)
class StepResult:
    """Gradients by parameter, and the step's total and classification losses."""

    gradients: dict[str, Tensor]
    losses: Tensor

    def is_close(self, other: "StepResult") -> bool:
        """Whether the gradients are equal but for rounding."""
        return all(
            torch.allclose(gradient, other.gradients[name], rtol=1e-3, atol=1e-5)
            for name, gradient in self.gradients.items()
        )


def step_result(images: Sequence[Image], parts: int = 1) -> StepResult:
    """Compute one step of this process, in the process group if there is one."""
    torch.manual_seed(0)
    detector = build("fcos_tiny", 1, SIDE).train()
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # batch normalization sees one part at a time
    batch = list[Any](images)
    step = Step(batch, [], [(batch[part], len(batch[part])) for part in divide(len(batch), parts)], parts)
    scaler = torch.GradScaler("cpu", enabled=False)
    sums = backward_parts(Images(), distributed.wrapped(detector), scaler, step, torch.device("cpu"))
    losses = normalize(detector, sums, len(batch))
    gradients = {n: one.grad.clone() for n, one in detector.named_parameters() if one.grad is not None}
    return StepResult(gradients, losses)


def save_step_of_rank(rank: int, world_size: int, folder: Path) -> None:
    """Compute the step on this rank's share of the images, together with the other ranks; write it to `folder`."""
    torch.set_num_threads(1)
    init_process_group("gloo", store=FileStore(str(folder / "store"), world_size), rank=rank, world_size=world_size)
    result = step_result(crowded_images()[rank::world_size], parts=2)
    torch.save((result.gradients, result.losses), folder / f"step-{rank}")
    destroy_process_group()
