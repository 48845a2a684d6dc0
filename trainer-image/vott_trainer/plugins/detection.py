"""The plugin `detection`: train an object detector, measured by its mAP on held-out images."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from vott_trainer.annotations import Annotations
from vott_trainer.data.split import split_images
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import initial_weights, weights
from vott_trainer.plugin_api import Data, Evaluation, Prediction, Run, SummedLosses
from vott_trainer.vision.architecture_parameters import ArchitectureParameters, InitialData
from vott_trainer.vision.augmentation import FLIPPED, flipped, random_tone, toned
from vott_trainer.vision.detector_evaluation import detect, evaluate, predictions
from vott_trainer.vision.detector_samples import Sample, Samples, load_pixels
from vott_trainer.vision.detectors import CLASSIFICATION_LOSSES, DETECTORS, ON_CPU, ON_GPU, DetectorName, build
from vott_trainer.vision.onnx_export import export_detector


class DetectionParameters(ArchitectureParameters):
    """Parameters; defaults depend on the architecture and the number of images."""

    architectures = DETECTORS
    on_cpu, on_gpu = ON_CPU, ON_GPU

    architecture: DetectorName | None = Field(
        default=None, description=f"The network. Default: {ON_GPU} on a GPU, {ON_CPU} on a CPU."
    )
    image_size: int | None = Field(
        default=None,
        ge=64,
        le=4096,
        description="Length in pixels that the longer side of each image is scaled to; both sides for RF-DETR and D-FINE.",
    )

    def check(self, annotations: Annotations) -> None:
        """Require at least one box."""
        if not any(image.boxes for image in annotations.images):
            raise BadAnnotationsError(
                "The annotations contain classes of whole images, but no boxes. To learn these classes, send "
                '`"plugin": "classification"`; to detect objects, annotate them with boxes (url,x,y,width,height,class).'
            )


@dataclass(frozen=True)
class Batch:
    """Images uint8 [3, H, W], their targets, and the contrast and brightness of each."""

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    tones: list[tuple[float, float]]


class Detection:
    """Training of an object detector."""

    parameters = DetectionParameters

    def data(self, run: Run, parameters: DetectionParameters) -> InitialData:
        """Split the images; at least two need boxes."""
        dataset = run.dataset()
        if sum(bool(image.boxes) for image in dataset.images) < 2:
            raise NoUsableImagesError(
                "Fewer than 2 images with objects could be used, but training and measuring need at least one each. "
                "Annotate more images and send the message again."
            )
        training, held_out = split_images(dataset.images, parameters.holdout_fraction)
        size = parameters.image_size or 0
        boxes = {
            label: sum(box.label == label for image in dataset.images for box in image.boxes)
            for label in dataset.labels
        }
        name = parameters.architecture or ON_CPU
        square = DETECTORS[name].square
        return InitialData(
            Samples(training, dataset.labels, size, square=square),
            Samples(held_out, dataset.labels, size, square=square),
            dataset.labels,
            {"trainingImages": len(training), "heldOutImages": len(held_out), "boxes": boxes},
            initial_weights.find(run, parameters.initial_weights, name, dataset.labels, known=DETECTORS),
        )

    def model(self, data: InitialData, parameters: DetectionParameters) -> nn.Module:
        """Build the architecture for the labels, with its initial weights."""
        name = parameters.architecture or ON_CPU
        model = build(name, len(data.labels), parameters.image_size or 0, pretrained=data.initial is not None)
        initial_weights.initialize(model, data.initial, data.labels, DETECTORS[name].heads)
        return model

    def batch(self, samples: Sequence[Sample], rngs: Sequence[random.Random]) -> Batch:
        """Flip half of the images; `loss` changes contrast and brightness, on the device."""
        augmented = [
            flipped(sample.pixels, sample.boxes) if rng.random() < FLIPPED else (sample.pixels, sample.boxes)
            for sample, rng in zip(samples, rngs, strict=True)
        ]
        return Batch(
            [pixels for pixels, _ in augmented],
            [{"boxes": boxes, "labels": s.labels} for (_, boxes), s in zip(augmented, samples, strict=True)],
            [random_tone(rng) for rng in rngs],
        )

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor] | SummedLosses:
        """Return the detector's losses."""
        images = [toned(pixels, *tone) for pixels, tone in zip(batch.images, batch.tones, strict=True)]
        losses: Mapping[str, Tensor] | SummedLosses = model(images, batch.targets)
        if isinstance(losses, SummedLosses):
            return losses
        return {"classification" if name in CLASSIFICATION_LOSSES else name: loss for name, loss in losses.items()}

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
        """Measure mAP50, mAP and what the report shows."""
        return evaluate(model, data.held_out, data.labels, device)

    def export(
        self, model: nn.Module, data: InitialData, parameters: DetectionParameters, folder: Path
    ) -> dict[str, Any]:
        """Write weights and labels, and ONNX if the architecture can be exported."""
        weights.save(model, folder, name := parameters.architecture or ON_CPU, data.labels)
        images = (sample.pixels for sample in data.held_out)
        onnx = export_detector(model, images, folder, data.labels, square=DETECTORS[name].square)
        return {"architecture": name, "imageSize": parameters.image_size, "onnx": onnx}

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Detect objects, best first, with boxes in pixels of the image."""
        model, config = load(model_dir)
        square = DETECTORS[config["architecture"]].square
        pixels, scale = load_pixels(image, config["imageSize"], square=square)
        return predictions(detect(model, pixels, torch.device("cpu")), config["labels"], scale)


def load(model_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the trained detector of an unpacked archive, in evaluation mode, and its `config.json`."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    model = build(config["architecture"], len(config["labels"]), config["imageSize"])
    return weights.load(model, model_dir), config
