"""The plugin `detection`: train an object detector, measured by its mAP on held-out images."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from vott_trainer.annotations import Annotations
from vott_trainer.data.exif_rotation import size_of
from vott_trainer.data.folds import unlearned
from vott_trainer.data.split import split_images
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import weights
from vott_trainer.plugin_api import Data, Dataset, Evaluation, Fold, LabelledImage, Prediction, Run, SummedLosses
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.vision.architecture_parameters import ArchitectureParameters
from vott_trainer.vision.architectures import MIN_DETECTIONS, Architecture
from vott_trainer.vision.augmentation import MIRRORED, Augmentation, Augmented, augmented
from vott_trainer.vision.canvas import Canvas
from vott_trainer.vision.colors import random_colors, recolored
from vott_trainer.vision.crowded_images import detections_needed, too_many_objects
from vott_trainer.vision.detector_evaluation import Detected, detect, detected_on, measure, predictions, run_lengths_of
from vott_trainer.vision.detector_samples import Sample, Samples, load_pixels
from vott_trainer.vision.detectors import CLASSIFICATION_LOSSES, DETECTORS, ON_CPU, ON_GPU, DetectorName, build
from vott_trainer.vision.image_size import image_size_for
from vott_trainer.vision.initial_data import InitialData
from vott_trainer.vision.onnx_export import export_detector
from vott_trainer.vision.spool import Spool


class DetectionParameters(ArchitectureParameters):
    """Parameters; defaults depend on the architecture and the number of images."""

    architectures = DETECTORS
    on_cpu = ON_CPU
    on_gpu: ClassVar[Sequence[str]] = ON_GPU

    architecture: DetectorName | None = Field(
        default=None, description=f"The network. Default: {ON_GPU[0]} on a GPU, {ON_CPU} on a CPU."
    )
    image_size: int | None = Field(
        default=None,
        ge=64,
        le=4096,
        description="Length in pixels that the longer side of each image is scaled to; both sides for RF-DETR and D-FINE. "
        "Default: larger, if the objects are small.",
    )
    mosaic: float = Field(
        default=0.0, ge=0, le=1, description="Share of the training images that are put together from four."
    )

    def check(self, annotations: Annotations) -> None:
        """Require at least one box."""
        if not any(image.boxes for image in annotations.images):
            raise BadAnnotationsError(
                "The annotations contain classes of whole images, but no boxes. To learn these classes, send "
                '`"plugin": "classification"`; to detect objects, annotate them with boxes (url,x,y,width,height,class).'
            )

    def fitting_image_size(self, architecture: Architecture, dataset: Dataset) -> tuple[int, str]:
        """Return a size at which even small objects are large enough, and why, if the architecture has several."""
        smallest, largest = architecture.image_size, architecture.largest_image_size
        if not largest:
            return smallest, ""
        size = image_size_for(((_size(i), i.boxes) for i in dataset.images if i.boxes), smallest, largest)
        return (
            size,
            f"Images are scaled to {size} pixels because of the size of the smallest objects."
            if size > smallest
            else "",
        )


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, 3, H, W], their targets, and their colors [B, 3, 4]."""

    images: Tensor
    targets: list[dict[str, Tensor]]
    colors: Tensor


@dataclass(frozen=True)
class DetectorData(InitialData):
    """Also the most detections that the images need."""

    max_detections: int = MIN_DETECTIONS


class Detection:
    """Training of an object detector."""

    parameters: type[DetectionParameters] = DetectionParameters
    output = Detected
    # From `data`:
    _canvas: Canvas
    _augmentation: Augmentation
    _training: Sequence[Sample]

    def data(self, run: Run, parameters: DetectionParameters, fold: Fold = ONLY) -> DetectorData:
        """Split the images; at least two need boxes."""
        dataset = run.dataset()
        if sum(bool(image.boxes) for image in dataset.images) < 2:
            raise NoUsableImagesError(
                "Fewer than 2 images with objects could be used, but training and measuring need at least one each. "
                "Annotate more images and send the message again."
            )
        training, held_out = split_images(dataset.images, parameters.holdout_fraction, fold)
        network, size = parameters.network, parameters.image_size or 0
        self._canvas = Canvas.fitting([_size(image) for image in training], size, square=network.square)
        self._augmentation = Augmentation(network.scale, MIRRORED if parameters.mirror else 0.0, parameters.mosaic)
        if note := too_many_objects(dataset.images, parameters.architecture_name, network.queries):
            run.note(note)
        learned, measured = ({box.label for image in side for box in image.boxes} for side in (training, held_out))
        for note in unlearned(learned, measured, fold):
            run.note(note)
        options: dict[str, Any] = {
            "square": network.square,
            "spool": Spool(run.work_dir),
            "shapes": parameters.outlines,
        }
        largest = round(size * max(1.0, network.scale[1]))  # enlarged images should show what the file shows
        boxes = Counter(box.label for image in dataset.images for box in image.boxes)
        data = DetectorData.of(
            run,
            parameters,
            Samples(training, dataset.labels, largest, **options),
            Samples(held_out, dataset.labels, size, **options),
            dataset.labels,
            classes=[{box.label for box in image.boxes} for image in training],
            counts={"boxes": {label: boxes[label] for label in dataset.labels}},
        )
        self._training = data.training
        return replace(data, max_detections=detections_needed(dataset.images))

    def target(self, image: Augmented) -> dict[str, Tensor]:
        """Return what the network learns from an image."""
        return {"boxes": image.boxes, "labels": image.labels}

    def model(self, data: DetectorData, parameters: DetectionParameters) -> nn.Module:
        """Build the architecture for the labels, with its initial weights."""
        model = build(
            parameters.architecture_name,
            len(data.labels),
            parameters.image_size or 0,
            pretrained=data.initial is not None,
            max_detections=data.max_detections,
            architectures=parameters.architectures,
        )
        return data.initialized(model, parameters)

    def batch(self, samples: Sequence[Sample], rngs: Sequence[random.Random]) -> Batch:
        """Scale, place and mirror the images on the canvas; `loss` changes the colors, on the device."""
        images = [
            augmented(sample, self._training, self._canvas, self._augmentation, rng)
            for sample, rng in zip(samples, rngs, strict=True)
        ]
        return Batch(
            torch.stack([image.pixels for image in images]),
            [self.target(image) for image in images],
            torch.stack([random_colors(rng) for rng in rngs]),
        )

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor] | SummedLosses:
        """Return the detector's losses."""
        images = recolored(batch.images, batch.colors)
        losses: Mapping[str, Tensor] | SummedLosses = model(images, batch.targets)
        if isinstance(losses, SummedLosses):
            return losses
        return {"classification" if name in CLASSIFICATION_LOSSES else name: loss for name, loss in losses.items()}

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
        """Measure mAP50, mAP and what the report shows."""
        return self.measure(data, self.outputs(model, data.held_out, device))

    def outputs(self, model: nn.Module, items: Sequence[Sample], device: torch.device) -> list[Detected]:
        """Return the detections."""
        return detected_on(model, items, device, by_masks=self.parameters.outlines)

    def measure(self, data: Any, outputs: list[Detected]) -> Evaluation:
        """Compute mAP50, mAP and what the report shows."""
        return measure(data.held_out.images, outputs, data.labels, by_masks=self.parameters.outlines)

    def export(
        self, model: nn.Module, data: DetectorData, parameters: DetectionParameters, folder: Path
    ) -> dict[str, Any]:
        """Write weights and labels, and ONNX if the architecture can be exported."""
        weights.save(model, folder, parameters.architecture_name, data.labels)
        images, square = (sample.pixels for sample in data.held_out), parameters.network.square
        onnx = export_detector(model, images, folder, data.labels, square=square, masks=parameters.outlines)
        return {
            "architecture": parameters.architecture_name,
            "imageSize": parameters.image_size,
            "maxDetections": data.max_detections,
            "onnx": onnx,
        }

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Detect objects, best first, with boxes in pixels of the image."""
        architectures = self.parameters.architectures
        model, config = load(model_dir, architectures)
        square = architectures[config["architecture"]].square
        pixels, scale = load_pixels(image, config["imageSize"], square=square)
        detections = detect(model, pixels, torch.device("cpu"))
        return predictions(detections, config["labels"], scale, masks=run_lengths_of(detections))


def _size(image: LabelledImage) -> tuple[int, int]:
    """Return width and height, which the checks have read already."""
    return image.size or size_of(image.path)


def load(model_dir: Path, architectures: Mapping[str, Architecture] = DETECTORS) -> tuple[nn.Module, dict[str, Any]]:
    """Load the trained detector of an unpacked archive, in evaluation mode, and its `config.json`."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    limit = config.get("maxDetections", MIN_DETECTIONS)  # models of earlier versions have none
    model = build(
        config["architecture"],
        len(config["labels"]),
        config["imageSize"],
        max_detections=limit,
        architectures=architectures,
    )
    return weights.load(model, model_dir), config
