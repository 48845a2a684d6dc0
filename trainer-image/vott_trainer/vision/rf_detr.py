"""RF-DETR (Robinson et al., 2025, arXiv:2511.09554): the sizes published under the Apache licence, nano to large."""

from vott_trainer.vision.detr import Detr, nearest_side, transformers_module
from vott_trainer.vision.detr_configurations import PATCH, RF_DETR, WINDOWS
from vott_trainer.vision.imagenet import MEAN, STD
from vott_trainer.vision.rf_detr_losses import rf_detr_losses

MIN_SIDE = 288  # pixels; a smaller square has fewer patches than there are queries


def rf_detr(name: str, *, num_classes: int, image_size: int) -> Detr:
    """Build the RF-DETR `name` of RF_DETR.

    Raises:
        InvalidParametersError: the packages are not installed.
    """
    transformers = transformers_module()
    config = transformers.RfDetrConfig(**RF_DETR[name], num_labels=num_classes - 1)  # no background
    side = nearest_side(image_size, PATCH * WINDOWS, MIN_SIDE)
    return Detr(transformers.RfDetrForObjectDetection(config), rf_detr_losses, side, MEAN, STD)
