"""Image classification: a class for each image or box in, a classifier with its accuracy on held-out ones out."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from vott_trainer.data.split import split_by_class
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import weights
from vott_trainer.plugin_api import Dataset, Evaluation, Prediction, Run
from vott_trainer.vision.architecture_parameters import ArchitectureParameters, InitialData
from vott_trainer.vision.augmentation import random_tone, shifted_and_flipped, toned
from vott_trainer.vision.classifier_evaluation import Shown, evaluate_classes
from vott_trainer.vision.classifier_samples import Crop, Crops, View
from vott_trainer.vision.classifiers import CLASSIFIERS, ON_CPU, ON_GPU, ClassifierName, build
from vott_trainer.vision.crops import load_square
from vott_trainer.vision.evaluation_batches import decoded_batches, halved_on_out_of_memory
from vott_trainer.vision.onnx_export import MAX_IMAGES, export_classifier

MEASURED_AT_ONCE = 32
PREDICTED = 5


class ClassificationParameters(ArchitectureParameters):
    """What a message may set; what is left out follows the architecture and the number of images."""

    architectures = CLASSIFIERS
    on_cpu, on_gpu = ON_CPU, ON_GPU

    architecture: ClassifierName | None = Field(
        default=None, description=f"The network. Default: {ON_GPU} on a GPU, {ON_CPU} on a CPU."
    )
    classify: Literal["images", "boxes"] | None = Field(
        default=None,
        description="What has a class: whole images (lines of url,class), or what each box cuts out of its image. "
        "Default: images, where any has a class.",
    )
    # From 40 on: at 32 a single place is left in the end, and batch normalization can't learn from one image.
    image_size: int | None = Field(
        default=None, ge=40, le=1024, description="Side of the square that images are fitted into, in pixels."
    )


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, 3, S, S], their classes from 0 [B], and the contrast and brightness that each is shown with [B, 2]."""

    images: Tensor
    labels: Tensor
    tones: Tensor


class Classification:
    """Trains a classifier with softmax and cross entropy."""

    parameters = ClassificationParameters

    def data(self, run: Run, parameters: ClassificationParameters) -> InitialData:
        """Split what has a class; there must be at least two classes."""
        views = _views(run.dataset(), parameters.classify)
        labels = sorted({view.label for view in views})
        if len(labels) < 2:
            raise BadAnnotationsError(
                f"There are only images of the class {labels[0]!r}. Annotate images of at least one other class and send the message again."
            )
        training, held_out = split_by_class(views, parameters.holdout_fraction)
        if not held_out:
            raise NoUsableImagesError(
                "There is only one image of each class: one to learn from and one to measure with are the least. "
                "Annotate more images and send the message again."
            )
        size = parameters.image_size or 0
        return InitialData(
            Crops(training, labels, size),
            Crops(held_out, labels, size),
            labels,
            {
                "trainingImages": len(training),
                "heldOutImages": len(held_out),
                "images": Counter(v.label for v in views),
            },
            weights.find(run, parameters.initial_weights, parameters.architecture or ON_CPU, labels, known=CLASSIFIERS),
        )

    def model(self, data: InitialData, parameters: ClassificationParameters) -> nn.Module:
        """Return the network of that name, for as many classes as there are labels."""
        name = parameters.architecture or ON_CPU
        model = build(name, len(data.labels))
        weights.start(model, data.initial, data.labels, CLASSIFIERS[name].heads)
        return model

    def batch(self, items: Sequence[Crop], rngs: Sequence[random.Random]) -> Batch:
        """Mirror half of the images and shift all; contrast and brightness change on the device, in `loss`."""
        images = [shifted_and_flipped(item.pixels, rng) for item, rng in zip(items, rngs, strict=True)]
        tones = [random_tone(rng) for rng in rngs]
        return Batch(torch.stack(images), torch.tensor([item.label for item in items]), torch.tensor(tones))

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the cross entropy."""
        contrast, brightness = batch.tones.view(-1, 2, 1, 1, 1).unbind(1)
        images = toned(batch.images, contrast, brightness)
        return {"classification": functional.cross_entropy(model(images), batch.labels)}

    def evaluate(self, model: nn.Module, data: InitialData, device: torch.device) -> Evaluation:
        """Return accuracy and all that the report shows."""
        found: list[Tensor] = []
        truth: list[int] = []
        shown: list[Shown] = []
        for crops in decoded_batches(data.held_out, MEASURED_AT_ONCE):
            found.append(scores(model, torch.stack([crop.pixels for crop in crops]), device))
            truth += [crop.label for crop in crops]
            shown += [Shown(crop.view.image.path, crop.name, crop.view.box) for crop in crops]
        return evaluate_classes(truth, torch.cat(found).numpy(), data.labels, shown)

    def export(
        self, model: nn.Module, data: InitialData, parameters: ClassificationParameters, folder: Path
    ) -> dict[str, Any]:
        """Write weights, labels, and the same model as ONNX where that can be done."""
        weights.save(model, folder, name := parameters.architecture or ON_CPU, data.labels)
        some = torch.stack([crop.pixels for crop in itertools.islice(data.held_out, MAX_IMAGES)])
        onnx = export_classifier(model, some.float() / 255, folder, data.labels)
        return {"architecture": name, "imageSize": parameters.image_size, "onnx": onnx}

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return the five likeliest classes of a whole image."""
        model, config = load(model_dir)
        pixels = load_square(image, config["imageSize"])
        likely, places = scores(model, pixels[None], torch.device("cpu"))[0].sort(descending=True)
        found = zip(likely.tolist(), places.tolist(), strict=True)
        return [Prediction(config["labels"][number], score) for score, number in found][:PREDICTED]


def load(model_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the trained classifier of an unpacked archive, ready to predict, and its `config.json`."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    return weights.load(build(config["architecture"], len(config["labels"])), model_dir), config


@torch.inference_mode()
def scores(model: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    """Return the probability of each class, [B, K] on the CPU, of uint8 images [B, 3, S, S].

    Raises:
        torch.OutOfMemoryError: the GPU's memory does not hold a single image; it gets fewer at a time before.
    """
    model.eval()

    def scored(some: Sequence[Tensor]) -> list[Tensor]:
        return list(model(torch.stack([*some]).to(device).float() / 255).float().softmax(dim=1).cpu())

    return torch.stack(halved_on_out_of_memory(scored, list(images)))


def _views(dataset: Dataset, classify: str | None) -> list[View]:
    """Return what has a class, as the parameter `classify` says."""
    whole = [View(image, image.label) for image in dataset.images if image.label is not None]
    boxes = [View(image, box.label, box) for image in dataset.images for box in image.boxes]
    views = {"images": whole, "boxes": boxes}.get(classify or "", whole or boxes)
    if not views:
        what = "box" if classify == "boxes" else "image" if classify == "images" else "image or box"
        raise BadAnnotationsError(
            f"No {what} has a class. Annotate with lines of url,class for whole images or url,x,y,width,height,class for boxes "
            "(and set classify accordingly), and send the message again."
        )
    return views
