"""Object detection with torchvision's detectors: boxes and classes in, a detector with its mAP on held-out images out."""

import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vott_trainer import cpus, engine, faults
from vott_trainer.annotations import Box
from vott_trainer.errors import BadAnnotationsError, GPUError, InvalidParametersError, NoUsableImagesError
from vott_trainer.images import open_rgb
from vott_trainer.plugins.base import Dataset, Parameters, Prediction, Run, Trained
from vott_trainer.ranks import Ranks
from vott_trainer.vision.architectures import ARCHITECTURES, CLASSIFICATION_LOSSES, ON_CPU, ON_GPU, Architecture, build
from vott_trainer.vision.drawing import LOWEST_SCORE_DRAWN, draw
from vott_trainer.vision.evaluation import detect, evaluate
from vott_trainer.vision.samples import Batches, Samples, load_pixels, share, split

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"


class DetectionParameters(Parameters):
    """What a message may set; what is left out follows the architecture and the number of images."""

    architecture: (
        Literal["fcos_tiny", "fcos_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2"] | None
    ) = Field(default=None, description=f"The network. Default: {ON_GPU} on a GPU, {ON_CPU} on a CPU.")
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="How often each image is shown. Default: fewer, the more images there are.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Images a step, over all GPUs; rounded up to a multiple of their number.",
    )
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="The highest learning rate of the cycle.")
    image_size: int | None = Field(
        default=None, ge=64, le=4096, description="The longer side that images are scaled to, in pixels."
    )
    holdout_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the images that only measure the model."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed and data give the same model.")


class Detection:
    """Trains a detector from random weights."""

    parameters = DetectionParameters
    distributed = True

    def train(self, run: Run, parameters: DetectionParameters) -> Trained:
        """Fetch, split, train, measure, and leave weights, labels and a drawn sample."""
        device = prepare_device(parameters.seed, run.ranks)
        dataset = run.dataset()
        chosen = _choose(parameters, device, len(dataset.images), run.ranks.world_size)
        log.info("on %s: %s", _name(device), ", ".join(f"{name} {value}" for name, value in chosen.items()))
        try:
            return _train(run, dataset, chosen, device)
        except torch.cuda.OutOfMemoryError as error:
            raise InvalidParametersError(
                f"The GPU's memory does not hold {chosen['architecture']} at batchSize {chosen['batchSize']} and imageSize "
                f"{chosen['imageSize']}. Lower one of them and send the message again."
            ) from error

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return what the model sees, best first, in pixels of the image."""
        model, config = load(model_dir)
        return _predictions(model, image, config["imageSize"], config["labels"], torch.device("cpu"))


def prepare_device(seed: int, ranks: Ranks) -> torch.device:
    """Seed everything and return this process' GPU if there are any.

    Raises:
        GPUError: the container has fewer GPUs than processes.
    """
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)  # tiny numbers make a CPU slow
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_workers(ranks))
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found and not faults.was_given_gpus():
        return torch.device("cpu")
    if found < ranks.local_world_size:
        raise GPUError(
            f"This pod sees {found} of its {ranks.local_world_size} GPUs. See the node's Xid messages (`dmesg | grep Xid`) "
            "and its device plugin, and take the node out of service (`kubectl cordon`)."
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def _workers(ranks: Ranks) -> int:
    """Return the number of threads for this process; those of one node share its CPUs."""
    return max(1, cpus.available() // ranks.local_world_size)


def load(model_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the trained detector of an unpacked archive, ready to predict, and its `config.json`."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    model = build(config["architecture"], len(config["labels"]), config["imageSize"])
    model.load_state_dict(load_file(model_dir / WEIGHTS))
    return model.eval(), config


def _choose(parameters: DetectionParameters, device: torch.device, images: int, processes: int) -> dict[str, Any]:
    """Fill in what the message left open."""
    name = parameters.architecture or (ON_GPU if device.type == "cuda" else ON_CPU)
    default: Architecture = ARCHITECTURES[name]
    batch_size = parameters.batch_size or default.batch_size
    epochs = min(200, max(8, math.ceil(default.images_shown / max(1, images))))
    return {
        "architecture": name,
        "epochs": parameters.epochs or epochs,
        "batchSize": math.ceil(batch_size / processes) * processes,
        "learningRate": parameters.learning_rate or default.learning_rate,
        "imageSize": parameters.image_size or default.image_size,
        "holdoutFraction": parameters.holdout_fraction,
        "seed": parameters.seed,
    }


def _train(run: Run, dataset: Dataset, chosen: dict[str, Any], device: torch.device) -> Trained:
    start = time.monotonic()
    ranks = run.ranks
    training, held_out = _samples(dataset, chosen, ranks)
    decoding = time.monotonic() - start
    model = (
        build(chosen["architecture"], len(dataset.labels), chosen["imageSize"])
        .to(device)
        .to(memory_format=torch.channels_last)
    )
    seed = chosen["seed"] if ranks.leads else f"{chosen['seed']}-{ranks.rank}"
    batches = Batches(training, chosen["batchSize"] // ranks.world_size, device, seed)
    schedule = engine.Schedule(chosen["epochs"], chosen["learningRate"], CLASSIFICATION_LOSSES)
    history = engine.fit(
        model, batches, schedule, lambda: evaluate(model, held_out, dataset.labels, device), run.progress
    )
    if not ranks.leads:
        return Trained({})
    _save(run.model_dir, model, dataset.labels)
    _save_sample(run.model_dir, model, dataset, held_out, chosen, device)
    return Trained(
        history.metrics,
        {
            "settings": chosen,
            "device": _name(device),
            "processes": ranks.world_size,
            "counts": {
                "trainingImages": len(dataset.images) - len(held_out),
                "heldOutImages": len(held_out),
                "boxes": {
                    label: sum(box.label == label for i in dataset.images for box in i.boxes)
                    for label in dataset.labels
                },
            },
            "history": history.epochs,
            "seconds": {
                "decoding": decoding,
                "training": history.training_seconds,
                "evaluation": history.evaluation_seconds,
            },
        },
        {"architecture": chosen["architecture"], "imageSize": chosen["imageSize"], "labels": dataset.labels},
    )


def _samples(dataset: Dataset, chosen: dict[str, Any], ranks: Ranks) -> tuple[Samples, Samples]:
    """Return this rank's share of the images to learn from, and those to measure with, which only rank 0 needs."""
    if sum(bool(image.boxes) for image in dataset.images) < 2:
        raise NoUsableImagesError(
            "Fewer than 2 images with objects could be used: one to learn from and one to measure with are the least. "
            "Annotate more images and send the message again."
        )
    training, held_out = split(dataset.images, chosen["holdoutFraction"])
    mine = share(training, ranks), held_out if ranks.leads else []
    learn, measure = (Samples(images, dataset.labels, chosen["imageSize"], _workers(ranks)) for images in mine)
    if not engine.anywhere(any(len(sample.boxes) for sample in learn)):
        raise BadAnnotationsError(
            "Every box lies outside of its image. Boxes are x,y,width,height in pixels from the upper left corner; "
            "correct the annotations and send the message again."
        )
    return learn, measure


def _save(folder: Path, model: nn.Module, labels: list[str]) -> None:
    weights: dict[str, Tensor] = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def _save_sample(
    folder: Path, model: nn.Module, dataset: Dataset, held_out: Samples, chosen: dict[str, Any], device: torch.device
) -> None:
    image = held_out.images[0]
    predictions = _predictions(model, image.path, chosen["imageSize"], dataset.labels, device)
    draw(open_rgb(image.path), predictions).save(folder / "sample.jpg", quality=90)


def _predictions(
    model: nn.Module, image: Path, image_size: int, labels: list[str], device: torch.device
) -> list[Prediction]:
    pixels, scale = load_pixels(image, image_size)
    found = detect(model, pixels, device)
    rows = zip((found["boxes"] / scale).tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True)
    predictions = [
        Prediction(Box(left, top, right - left, bottom - top, labels[number - 1]), score)
        for (left, top, right, bottom), number, score in rows
        if score >= LOWEST_SCORE_DRAWN and number >= 1
    ]
    return sorted(predictions, key=lambda prediction: -prediction.score)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
