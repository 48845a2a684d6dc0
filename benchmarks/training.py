"""The training loop with all that belongs to it, against bare forward, backward and step on tensors that are there already."""

import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from demo.shapes import annotated_images
from vott_trainer import cpus, engine
from vott_trainer.annotations import Box
from vott_trainer.plugins.base import LabelledImage
from vott_trainer.progress import Progress
from vott_trainer.vision.architectures import ARCHITECTURES, CLASSIFICATION_LOSSES, ON_CPU, ON_GPU, build
from vott_trainer.vision.samples import Batch, Batches, Samples

IMAGES = 64
EPOCHS = 3
ROUNDS = 3
LABELS = ["circle", "square", "triangle"]


def measure() -> str:
    """Sentence with both rates and their ratio: the median of rounds in which the two take turns."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(cpus.available())
    name = ON_GPU if device.type == "cuda" else ON_CPU
    with tempfile.TemporaryDirectory() as folder:
        batches = _batches(Path(folder), name, device)
        rounds = [(_engine(name, batches, device), _bare(name, batches, device)) for _ in range(ROUNDS)]
    ours, bare = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return (
        f"training {name} on {device.type}: {ours:.1f} images/s; bare forward, backward and step on preloaded tensors: "
        f"{bare:.1f} images/s; ratio {ours / bare:.2f}"
    )


def _batches(folder: Path, name: str, device: torch.device) -> Batches:
    images = []
    for image in annotated_images(IMAGES):
        path = folder / image.name
        path.write_bytes(image.jpeg)
        boxes = [Box(box.x, box.y, box.width, box.height, box.label) for box in image.boxes]
        images.append(LabelledImage(f"file:///{image.name}", path, boxes))
    chosen = ARCHITECTURES[name]
    samples = Samples(images, LABELS, chosen.image_size, cpus.available())
    return Batches(samples, chosen.batch_size, device, seed=0)


def _model(name: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    model = build(name, len(LABELS), ARCHITECTURES[name].image_size).to(device)
    return model.to(memory_format=torch.channels_last)


def _engine(name: str, batches: Batches, device: torch.device) -> float:
    """Images a second of the product's own loop, evaluation left out."""
    schedule = engine.Schedule(EPOCHS, ARCHITECTURES[name].learning_rate, CLASSIFICATION_LOSSES)
    history = engine.fit(_model(name, device), batches, schedule, dict, Progress())
    return EPOCHS * IMAGES / history.training_seconds


def _bare(name: str, batches: Batches, device: torch.device) -> float:
    """Images a second of the least that trains: the same batches, made before the clock starts."""
    model = _model(name, device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=ARCHITECTURES[name].learning_rate)
    ready = [list(batches.epoch(epoch)) for epoch in range(1, EPOCHS + 1)]
    _synchronize(device)
    start = time.monotonic()
    for epoch in ready:
        for batch in epoch:
            _step(model, optimizer, batch, device)
    _synchronize(device)
    return EPOCHS * IMAGES / (time.monotonic() - start)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, device: torch.device) -> None:
    with engine.autocast(device):
        loss = torch.stack(list(model(batch.images, batch.targets).values())).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
