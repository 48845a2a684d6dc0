"""D-FINE (Peng et al., 2024, arXiv:2410.13842): nano and small."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.detr import Detr, Targets, nearest_side, number_of_boxes, transformers_module
from vott_trainer.vision.detr_configurations import D_FINE

STEP = 32  # pixels; the stride of the coarsest feature map
MIN_SIDE = 256  # pixels; a smaller square has fewer positions than there are queries


def d_fine(name: str, *, num_classes: int, image_size: int) -> "DFine":
    """Build the D-FINE `name` of D_FINE.

    Raises:
        InvalidParametersError: the packages are not installed.
    """
    transformers = transformers_module()
    config = transformers.DFineConfig(**D_FINE[name], num_labels=num_classes - 1)  # no background
    network = transformers.DFineForObjectDetection(config)
    del network.class_embed, network.bbox_embed  # unused: the decoder has its own
    return DFine(network, nearest_side(image_size, STEP, MIN_SIDE))


class DFine(Detr):
    """A D-FINE. In training it also gets noisy copies of the true boxes as queries, to learn to correct them."""

    def __init__(self, network: Any, side: int) -> None:
        super().__init__(network, _losses, side)
        self.noisy_queries = network.config.num_denoising

    def forward(self, images: Sequence[Tensor] | Tensor, targets: Targets | None = None) -> Any:
        """Return the losses in training, else a list of {boxes, labels, scores}, best first."""
        if targets is None or not self.training:
            return super().forward(images)
        # Noisy copies of more objects than there are queries would take too much memory.
        crowded = any(len(target["boxes"]) > self.max_detections for target in targets)
        self.network.config.num_denoising = 0 if crowded else self.noisy_queries
        losses: SummedLosses = super().forward(images, targets)
        # Several processes expect a gradient of every parameter, but images without objects have no noisy copies.
        unused = 0 * self.network.model.denoising_class_embed.weight.sum()
        return SummedLosses({**losses.terms, "boxes": losses.terms["boxes"] + unused}, losses.weight)


def _losses(logits: Tensor, labels: Targets, device: torch.device, *rest: Any, **named: Any) -> SummedLosses:
    """Return the losses of `transformers`, whose arguments these are, as sums over boxes.

    `transformers` divides by the number of boxes all losses but one, the decoder's learning from its last layer (`loss_ddf`), which is a
    mean over queries. Over several parts it is averaged with the number of boxes as weight.
    """
    from transformers.loss.loss_d_fine import DFineForObjectDetectionLoss

    _, means, _ = DFineForObjectDetectionLoss(logits, labels, device, *rest, **named)  # type: ignore[no-untyped-call]
    boxes = number_of_boxes(labels, device)
    classification = torch.stack([mean for name, mean in means.items() if name.startswith("loss_vfl")]).sum()
    regression = torch.stack([mean for name, mean in means.items() if not name.startswith("loss_vfl")]).sum()
    divisor = boxes.clamp(min=1)
    return SummedLosses({"classification": classification * divisor, "boxes": regression * divisor}, boxes)
