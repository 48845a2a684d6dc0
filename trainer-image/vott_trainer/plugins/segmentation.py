"""The plugin `segmentation`: as `detection`, but it learns the outlines of objects, and is measured by its masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from vott_trainer.plugin_api import Fold, Run
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.plugins import detection
from vott_trainer.plugins.detection import Detection, DetectionParameters, DetectorData
from vott_trainer.vision.architectures import Architecture
from vott_trainer.vision.augmentation import Augmented
from vott_trainer.vision.segmenters import ON_CPU, ON_GPU, SEGMENTERS, SegmenterName


class SegmentationParameters(DetectionParameters):
    """Parameters; defaults depend on the architecture and the images."""

    outlines = True
    architectures = SEGMENTERS
    on_cpu, on_gpu = ON_CPU, ON_GPU

    architecture: SegmenterName | None = Field(  # type: ignore[assignment] # other names
        default=None, description=f"The network. Default: {ON_GPU[0]} on a GPU, {ON_CPU} on a CPU."
    )


class Segmentation(Detection):
    """Training of a network that finds objects and their masks (instance segmentation)."""

    parameters = SegmentationParameters
    _mask_stride: int  # from `data`

    def data(self, run: Run, parameters: DetectionParameters, fold: Fold = ONLY) -> DetectorData:
        """Split the images; at least two need objects."""
        self._mask_stride = parameters.network.mask_stride
        return super().data(run, parameters, fold)

    def target(self, image: Augmented) -> dict[str, Tensor]:
        """Return what the network learns from an image: also the masks, at its resolution."""
        return {**super().target(image), "masks": image.masks(self._mask_stride)}


def load(model_dir: Path, architectures: Mapping[str, Architecture] = SEGMENTERS) -> tuple[nn.Module, dict[str, Any]]:
    """Load the trained network of an unpacked archive, in evaluation mode, and its `config.json`."""
    return detection.load(model_dir, architectures)
