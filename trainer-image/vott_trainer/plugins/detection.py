"""The plugin `detection`: train an object detector, measured by its mAP on held-out images."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from vott_trainer.annotations import Annotations
from vott_trainer.data.exif_rotation import size_of
from vott_trainer.data.repeat_factors import Repeated, repeat_factors
from vott_trainer.data.split import split_images
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import initial_weights, weights
from vott_trainer.plugin_api import Data, Dataset, Evaluation, LabelledImage, Prediction, Run, SummedLosses
from vott_trainer.vision.architecture_parameters import ArchitectureParameters, InitialData
from vott_trainer.vision.architectures import MIN_DETECTIONS, Architecture
from vott_trainer.vision.augmentation import MIRRORED, MOSAIC, Augmentation, Augmented, augmented
from vott_trainer.vision.canvas import Canvas
from vott_trainer.vision.colors import random_colors, recolored
from vott_trainer.vision.crowded_images import detections_needed, too_many_objects
from vott_trainer.vision.detector_evaluation import Detected, detect, detected_on, measure, predictions, run_lengths_of
from vott_trainer.vision.detector_samples import Sample, Samples, load_pixels
from vott_trainer.vision.detectors import CLASSIFICATION_LOSSES, DETECTORS, ON_CPU, ON_GPU, DetectorName, build
from vott_trainer.vision.efficientnet_lite import freeze_first_layers
from vott_trainer.vision.image_size import image_size_for
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
        default=MOSAIC, ge=0, le=1, description="Share of the training images that are put together from four."
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
        size = image_size_for(((size_of(i.path), i.boxes) for i in dataset.images if i.boxes), smallest, largest)
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
class View:
    """How training images are shown to the network."""

    canvas: Canvas
    changes: Augmentation
    square: bool = False

    @classmethod
    def of(cls, images: Sequence[LabelledImage], parameters: DetectionParameters) -> "View":
        """Return the view for these training images."""
        architecture = parameters.architectures[parameters.architecture or parameters.on_cpu]
        sizes = [size_of(image.path) for image in images]
        canvas = Canvas.fitting(sizes, parameters.image_size or 0, square=architecture.square)
        changes = Augmentation(architecture.scale, MIRRORED if parameters.mirror else 0.0, parameters.mosaic)
        return cls(canvas, changes, architecture.square)

    def largest_size(self, image_size: int) -> int:
        """Return the size to decode images at: enlarged ones should show what the file shows."""
        return round(image_size * max(1.0, self.changes.scale[1]))


class Detection:
    """Training of an object detector."""

    parameters: type[DetectionParameters] = DetectionParameters
    output = Detected

    def __init__(self) -> None:
        self._view = View(Canvas(320, 320), Augmentation())
        self._max_detections = MIN_DETECTIONS

    def data(self, run: Run, parameters: DetectionParameters) -> InitialData:
        """Split the images; at least two need boxes."""
        dataset = run.dataset()
        if sum(bool(image.boxes) for image in dataset.images) < 2:
            raise NoUsableImagesError(
                "Fewer than 2 images with objects could be used, but training and measuring need at least one each. "
                "Annotate more images and send the message again."
            )
        training, held_out = split_images(dataset.images, parameters.holdout_fraction)
        name, size = parameters.architecture or parameters.on_cpu, parameters.image_size or 0
        architecture = parameters.architectures[name]
        self._view = View.of(training, parameters)
        boxes = Counter(box.label for image in dataset.images for box in image.boxes)
        self._max_detections = detections_needed(dataset.images)
        if note := too_many_objects(dataset.images, name, architecture.queries):
            run.note(note)
        initial = parameters.find_weights(run, dataset.labels)
        options: dict[str, Any] = {
            "square": architecture.square,
            "spool": Spool(run.work_dir),
            "shapes": parameters.outlines,
        }
        return InitialData(
            Repeated(
                Samples(training, dataset.labels, self._view.largest_size(size), **options),
                repeat_factors([{box.label for box in image.boxes} for image in training]),
            ),
            Samples(held_out, dataset.labels, size, **options),
            dataset.labels,
            {
                "trainingImages": len(training),
                "heldOutImages": len(held_out),
                "boxes": {label: boxes[label] for label in dataset.labels},
            },
            architecture.backbone if initial else (),
            initial,
        )

    def target(self, image: Augmented) -> dict[str, Tensor]:
        """Return what the network learns from an image."""
        return {"boxes": image.boxes, "labels": image.labels}

    def model(self, data: InitialData, parameters: DetectionParameters) -> nn.Module:
        """Build the architecture for the labels, with its initial weights."""
        name = parameters.architecture or parameters.on_cpu
        model = build(
            name,
            len(data.labels),
            parameters.image_size or 0,
            pretrained=data.initial is not None,
            max_detections=self._max_detections,
            architectures=parameters.architectures,
        )
        initial_weights.initialize(model, data.initial, data.labels, parameters.architectures[name].heads)
        if data.initial:
            freeze_first_layers(model)
        return model

    def batch(self, samples: Sequence[Sample], rngs: Sequence[random.Random]) -> Batch:
        """Scale, place and mirror the images on the canvas; `loss` changes the colors, on the device."""
        images = augmented(samples, self._view.canvas, self._view.changes, rngs, square=self._view.square)
        return Batch(
            torch.stack([image.pixels for image in images]),
            [self.target(image) for image in images],
            torch.stack([random_colors(rng) for rng in rngs]),
        )

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor] | SummedLosses:
        """Return the detector's losses."""
        images = recolored(batch.images, batch.colors)
        losses: Mapping[str, Tensor] | SummedLosses = model(list(images), batch.targets)
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
        self, model: nn.Module, data: InitialData, parameters: DetectionParameters, folder: Path
    ) -> dict[str, Any]:
        """Write weights and labels, and ONNX if the architecture can be exported."""
        weights.save(model, folder, name := parameters.architecture or parameters.on_cpu, data.labels)
        images = (sample.pixels for sample in data.held_out)
        square = parameters.architectures[name].square
        onnx = export_detector(model, images, folder, data.labels, square=square, masks=self.parameters.outlines)
        return {
            "architecture": name,
            "imageSize": parameters.image_size,
            "maxDetections": self._max_detections,
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
