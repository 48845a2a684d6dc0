"""The small detector on EfficientNet-Lite0 with a branch for masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.architectures import MIN_DETECTIONS
from vott_trainer.vision.lite_detector import WIDTH, LiteDetector, assigned, losses
from vott_trainer.vision.mask_branch import MAX_MASKS, MaskBranch, mask_loss, masks_of
from vott_trainer.vision.task_aligned import Assignment


class LiteSegmenter(LiteDetector):
    """As `LiteDetector`; targets also have masks [M, H / 4, W / 4], detections masks [K, H, W] in 0..1."""

    def __init__(self, num_classes: int, *, max_detections: int = MIN_DETECTIONS, **_sizes: int) -> None:
        super().__init__(num_classes, max_detections=min(max_detections, MAX_MASKS))
        self.masks = MaskBranch(WIDTH)

    def forward(self, images: Sequence[Tensor] | Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Return the losses in training, else a list of {boxes, labels, scores, masks}, best first."""
        maps = self.features(images)
        predicted, (prototypes, coefficients) = self.predict(maps), self.masks(maps)
        if self.training:
            assert targets is not None
            assignments = assigned(predicted, targets)
            summed = losses(predicted, assignments, targets)
            rows = zip(prototypes, coefficients, assignments, targets, strict=True)
            terms = {**summed.terms, "masks": torch.stack([_mask_loss(*row) for row in rows]).sum()}
            return SummedLosses(terms, summed.weight)
        found = self.detections(predicted, images)
        return [
            {
                **detections,
                "masks": masks_of(prototypes[n], coefficients[n][places], detections["boxes"], images[n].shape[-2:]),
            }
            for n, (detections, places) in enumerate(found)
        ]


def _mask_loss(
    prototypes: Tensor, coefficients: Tensor, assignment: Assignment, target: Mapping[str, Tensor]
) -> Tensor:
    positive = (assignment.objects >= 0).nonzero().flatten()
    objects, weights = assignment.objects[positive], assignment.scores[positive].sum(dim=1)
    return mask_loss(prototypes, coefficients[positive], objects, weights, target["boxes"], target["masks"])
