"""The plugin `classification`: train a classifier of images or boxes, measured by its accuracy on held-out ones."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from vott_guard.redaction import redact_url
from vott_trainer.data.folds import unlearned
from vott_trainer.data.split import split_by_class
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import weights
from vott_trainer.learning.mixed_precision import autocast
from vott_trainer.plugin_api import Dataset, Evaluation, Fold, Prediction, Run
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.vision.architecture_parameters import ArchitectureParameters
from vott_trainer.vision.augmentation import MIRRORED, shifted_and_mirrored
from vott_trainer.vision.classifier_evaluation import Shown, evaluate_classes
from vott_trainer.vision.classifier_samples import Crop, Crops, View
from vott_trainer.vision.classifiers import CLASSIFIERS, ON_CPU, ON_GPU, ClassifierName, build
from vott_trainer.vision.colors import random_colors, recolored
from vott_trainer.vision.crops import load_square
from vott_trainer.vision.evaluation_batches import decoded_batches, halved_on_out_of_memory
from vott_trainer.vision.initial_data import InitialData
from vott_trainer.vision.onnx_export import MAX_IMAGES, export_classifier
from vott_trainer.vision.spool import Spool

EVALUATION_BATCH = 32
MOST_PREDICTIONS = 5


class ClassificationParameters(ArchitectureParameters):
    """Parameters; defaults depend on the architecture and the number of images."""

    architectures = CLASSIFIERS
    on_cpu, on_gpu = ON_CPU, ON_GPU

    architecture: ClassifierName | None = Field(
        default=None, description=f"The network. Default: {ON_GPU[0]} on a GPU, {ON_CPU} on a CPU."
    )
    classify: Literal["images", "boxes"] | None = Field(
        default=None,
        description="What to classify: whole images (lines of url,class), or the crop of each box. "
        "Default: images if any image has a class, else boxes.",
    )
    # At least 40: at 32 the last feature map is a single pixel, and batch normalization can't learn from one image.
    image_size: int | None = Field(
        default=None, ge=40, le=1024, description="Side in pixels of the square that images are fitted into."
    )

    def items(self, dataset: Dataset) -> int:
        """Return the number of images or boxes to classify."""
        return len(_views(dataset, self.classify))


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, 3, S, S], their classes from 0 [B], and their colors [B, 3, 4]."""

    images: Tensor
    labels: Tensor
    colors: Tensor


@dataclass(frozen=True, slots=True)
class Scored:
    """What is measured of a held-out item: its class, from 0, and the probability of each class."""

    label: int
    scores: list[float]


class Classification:
    """Training of a classifier with softmax and cross entropy."""

    parameters = ClassificationParameters
    output = Scored
    _mirrored: float  # share of the images, from `data`

    def data(self, run: Run, parameters: ClassificationParameters, fold: Fold = ONLY) -> InitialData:
        """Split the images or boxes; at least two classes are needed."""
        views = _views(run.dataset(), parameters.classify)
        labels = sorted({view.label for view in views})
        if len(labels) < 2:
            raise BadAnnotationsError(
                f"All images have the class {labels[0]!r}. Annotate images of at least one other class and send the message again."
            )
        if len({(view.label, view.image.scene_key) for view in views}) == len(labels):
            raise NoUsableImagesError(
                "There is only one image of each class, but training and measuring need at least one each. "
                "Annotate more images and send the message again."
            )
        training, held_out = split_by_class(views, parameters.holdout_fraction, fold)
        learned, measured = ({view.label for view in side} for side in (training, held_out))
        for note in unlearned(learned, measured, fold):
            run.note(note)
        self._mirrored = MIRRORED if parameters.mirror else 0.0
        size, spool = parameters.image_size or 0, Spool(run.work_dir)
        return InitialData.of(
            run,
            parameters,
            Crops(training, labels, size, spool=spool),
            Crops(held_out, labels, size, spool=spool),
            labels,
            classes=[{view.label} for view in training],
            counts={"images": Counter(view.label for view in views)},
        )

    def model(self, data: InitialData, parameters: ClassificationParameters) -> nn.Module:
        """Build the architecture for the labels, with its initial weights."""
        return data.initialized(build(parameters.architecture_name, len(data.labels)), parameters)

    def batch(self, items: Sequence[Crop], rngs: Sequence[random.Random]) -> Batch:
        """Mirror half of the images and shift all; `loss` changes the colors, on the device."""
        images = [shifted_and_mirrored(i.pixels, rng, self._mirrored) for i, rng in zip(items, rngs, strict=True)]
        colors = [random_colors(rng) for rng in rngs]
        return Batch(torch.stack(images), torch.tensor([item.label for item in items]), torch.stack(colors))

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the cross entropy."""
        images = recolored(batch.images, batch.colors)
        return {"classification": functional.cross_entropy(model(images), batch.labels)}

    def evaluate(self, model: nn.Module, data: InitialData, device: torch.device) -> Evaluation:
        """Measure accuracy and what the report shows."""
        return self.measure(data, self.outputs(model, data.held_out, device))

    def outputs(self, model: nn.Module, items: Sequence[Crop], device: torch.device) -> list[Scored]:
        """Return the scores."""
        scored = []
        for crops in decoded_batches(items, EVALUATION_BATCH):
            rows = scores(model, torch.stack([crop.pixels for crop in crops]), device).tolist()
            scored += [Scored(crop.label, row) for crop, row in zip(crops, rows, strict=True)]
        return scored

    def measure(self, data: Any, outputs: list[Scored]) -> Evaluation:
        """Compute accuracy and what the report shows."""
        shown = [Shown(v.image.path, redact_url(v.image.url), v.box, v.image.scene) for v in data.held_out.views]
        rows = np.array([output.scores for output in outputs], np.float32)
        return evaluate_classes([output.label for output in outputs], rows, data.labels, shown)

    def export(
        self, model: nn.Module, data: InitialData, parameters: ClassificationParameters, folder: Path
    ) -> dict[str, Any]:
        """Write weights and labels, and ONNX if the architecture can be exported."""
        weights.save(model, folder, parameters.architecture_name, data.labels)
        samples = torch.stack([crop.pixels for crop in itertools.islice(data.held_out, MAX_IMAGES)])
        onnx = export_classifier(model, samples.float() / 255, folder, data.labels)
        return {"architecture": parameters.architecture_name, "imageSize": parameters.image_size, "onnx": onnx}

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return the five most likely classes of a whole image."""
        model, config = load(model_dir)
        pixels = load_square(image, config["imageSize"])
        best, classes = scores(model, pixels[None], torch.device("cpu"))[0].sort(descending=True)
        ranked = zip(best.tolist(), classes.tolist(), strict=True)
        return [Prediction(config["labels"][number], score) for score, number in ranked][:MOST_PREDICTIONS]


def load(model_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the trained classifier of an unpacked archive, in evaluation mode, and its `config.json`."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    return weights.load(build(config["architecture"], len(config["labels"])), model_dir), config


@torch.inference_mode()
def scores(model: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    """Compute the probability of each class, [B, K] on the CPU, for uint8 images [B, 3, S, S]; in half precision on a GPU.

    Raises:
        torch.OutOfMemoryError: the GPU's memory does not hold a single image; smaller batches are tried first.
    """
    model.eval()

    def score(chunk: Sequence[Tensor]) -> list[Tensor]:
        with autocast(device):
            logits = model(torch.stack([*chunk]).to(device).float() / 255)
        return list(logits.float().softmax(dim=1).cpu())

    return torch.stack(halved_on_out_of_memory(score, list(images)))


def _views(dataset: Dataset, classify: str | None) -> list[View]:
    """Select the images or boxes to classify, as the parameter `classify` says."""
    whole = [View(image, image.label) for image in dataset.images if image.label is not None]
    boxes = [View(image, box.label, box) for image in dataset.images for box in image.boxes]
    views = {"images": whole, "boxes": boxes}.get(classify or "", whole or boxes)
    if not views:
        subject = "box" if classify == "boxes" else "image" if classify == "images" else "image or box"
        raise BadAnnotationsError(
            f"No {subject} has a class. Annotate with lines of url,class for whole images or url,x,y,width,height,class for boxes "
            "(and set classify accordingly), and send the message again."
        )
    return views
