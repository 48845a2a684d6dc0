"""RF-DETR (Robinson et al., 2025, arXiv:2511.09554): the sizes published under the Apache licence, nano to large."""

from vott_trainer.vision.detr import Detr, nearest_side, transformers_module
from vott_trainer.vision.detr_configurations import PATCH, RF_DETR, WINDOWS
from vott_trainer.vision.imagenet import MEAN, STD
from vott_trainer.vision.rf_detr_losses import rf_detr_losses

MIN_SIDE = 288  # pixels; a smaller square has fewer patches than there are queries


def rf_detr(name: str, num_classes: int, max_size: int, min_size: int = 0) -> Detr:
    """Build an RF-DETR with random weights.

    Args:
        name: a key of RF_DETR.
        num_classes: labels plus background; this network has no class for the latter.
        max_size: the side of the square images, in pixels.
        min_size: an option of torchvision's detectors; ignored.

    Raises:
        InvalidParametersError: the packages are not installed.
    """
    del min_size
    transformers = transformers_module()
    config = transformers.RfDetrConfig(**RF_DETR[name], num_labels=num_classes - 1)
    side = nearest_side(max_size, PATCH * WINDOWS, MIN_SIDE)
    return Detr(transformers.RfDetrForObjectDetection(config), rf_detr_losses, side, MEAN, STD)
