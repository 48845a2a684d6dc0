"""The training loop with all that belongs to it, against bare forward, backward and step on tensors that are there already."""

import io
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageChops
from torch import nn

from demo.shapes import AnnotatedImage, annotated_images
from vott_trainer.annotations import Box
from vott_trainer.learning import device as devices
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Loop, LoopSettings
from vott_trainer.learning.mixed_precision import autocast
from vott_trainer.learning.state import TrainingState
from vott_trainer.learning.tensors import to_device
from vott_trainer.learning.worker_threads import worker_threads
from vott_trainer.plugin_api import Evaluation, LabelledImage, Links
from vott_trainer.plugins.detection import Batch, Detection
from vott_trainer.process.ranks import Ranks
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.augmentation import toned
from vott_trainer.vision.decoded_cache import CacheMemory
from vott_trainer.vision.detector_samples import Samples
from vott_trainer.vision.detectors import DETECTORS, ON_CPU, ON_GPU, build

BUDGETS = {"cpu": 0.95, "cuda": 0.90}
IMAGES = 64
EPOCHS = 3
ROUNDS = 3
LABELS = ["circle", "square", "triangle"]
EMA_DECAY = 0.998


@dataclass(frozen=True)
class Pictures:
    """What is learned from: how many times as wide and high as the demo's images, and whether memory keeps them decoded."""

    what: str
    enlarged: int = 1
    kept: bool = True


WARM = Pictures("images that memory keeps")
COLD = Pictures("photographs of 1920x1440 that memory does not keep", enlarged=6, kept=False)


@dataclass(frozen=True)
class Workbench:
    """The images of one measurement, and the device that it is made on."""

    folder: Path
    samples: Samples
    device: torch.device
    name: str

    def batches(self) -> Batches:
        """The product's batches, made in the background."""
        return Batches(
            Detection(),
            self.samples,
            batch_size=DETECTORS[self.name].batch_size,
            seed=0,
            ranks=Ranks(),
            workers=worker_threads(Ranks()),
            pin=self.device.type == "cuda",
        )

    def model(self) -> nn.Module:
        """A new network, the same each time."""
        torch.manual_seed(0)
        model = build(self.name, len(LABELS), DETECTORS[self.name].image_size).to(self.device)
        return model.to(memory_format=torch.channels_last)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(count: int = IMAGES) -> str:
    """A sentence for images that memory keeps, and one for those that are decoded again in each epoch."""
    return "\n".join(_compared(pictures, count) for pictures in (WARM, COLD))


def _compared(pictures: Pictures, count: int) -> str:
    """Sentence with both rates and their ratio: the median of rounds in which the two take turns."""
    with tempfile.TemporaryDirectory() as folder:
        bench = workbench(Path(folder), pictures, count)
        rounds = [(_product(bench), _bare(bench)) for _ in range(ROUNDS)]
    ours, bare = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return (
        f"training {bench.name} on {bench.device.type}, {pictures.what}: {ours:.1f} images/s; bare forward, backward and step on preloaded "
        f"tensors: {bare:.1f} images/s; ratio {ours / bare:.2f} (budget: at least {BUDGETS[bench.device.type]:.2f})"
    )


def workbench(folder: Path, pictures: Pictures = WARM, count: int = IMAGES) -> Workbench:
    """Images on disk, each decoded once, as after a training's first epoch."""
    device = devices.prepare(Ranks())
    name = ON_GPU if device.type == "cuda" else ON_CPU
    memory = None if pictures.kept else CacheMemory(0)
    samples = Samples(images(folder, pictures, count), LABELS, DETECTORS[name].image_size, memory)
    for sample in samples:
        assert len(sample.boxes)
    return Workbench(folder, samples, device, name)


def images(folder: Path, pictures: Pictures, count: int) -> list[LabelledImage]:
    """Annotated images, written to `folder`."""
    made, times = [], pictures.enlarged
    for image in annotated_images(count):
        path = folder / image.name
        path.write_bytes(_enlarged(image, times) if times > 1 else image.jpeg)
        sides = [(times * box.x, times * box.y, times * box.width, times * box.height) for box in image.boxes]
        boxes = [Box(*side, box.label) for side, box in zip(sides, image.boxes, strict=True)]
        made.append(LabelledImage(f"file:///{image.name}", path, boxes))
    return made


def _enlarged(image: AnnotatedImage, times: int) -> bytes:
    """A JPEG with the noise of a camera, for a smooth one is decoded sooner."""
    small = Image.open(io.BytesIO(image.jpeg))
    large = small.resize((times * small.width, times * small.height))
    grain = Image.frombytes("L", large.size, random.Random(0).randbytes(large.width * large.height))  # nosec B311 # no secret
    quiet = grain.point([value // 8 for value in range(256)]).convert("RGB")
    ImageChops.add(large, quiet, offset=-16).save(buffer := io.BytesIO(), "JPEG", quality=88)
    return buffer.getvalue()


def _product(bench: Workbench) -> float:
    """Images a second of the product's own loop, evaluation left out."""
    batches = bench.batches()
    rate = DETECTORS[bench.name].learning_rate
    state = TrainingState(bench.model(), peak_learning_rate=rate, steps=EPOCHS * len(batches), ema_decay=EMA_DECAY)
    run = TrainingRun(Links("", "", None), bench.folder / "work", Progress())
    loop = Loop(Detection(), state, batches, LoopSettings(EPOCHS, 0), run, lambda _model: Evaluation({"none": 0.0}))
    start = time.monotonic()
    loop.run()
    bench.synchronize()
    return EPOCHS * len(bench.samples) / (time.monotonic() - start)


def _bare(bench: Workbench) -> float:
    """Images a second of the least that trains: the same batches, made before the clock starts."""
    model = bench.model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=DETECTORS[bench.name].learning_rate)
    ready = [batch for epoch in range(1, EPOCHS + 1) for batch in preloaded(bench, epoch)]
    bench.synchronize()
    start = time.monotonic()
    for batch in ready:
        loss = forward(model, batch, bench.device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    bench.synchronize()
    return EPOCHS * len(bench.samples) / (time.monotonic() - start)


def preloaded(bench: Workbench, epoch: int) -> list[Batch]:
    """The batches of one epoch on the device, as float images."""
    batches = [to_device(part, bench.device) for step in bench.batches().epoch(epoch) for part, _ in step.parts]
    return [
        Batch([toned(p, *t) for p, t in zip(batch.images, batch.tones, strict=True)], batch.targets, [])
        for batch in batches
    ]


def forward(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """The loss of one batch."""
    with autocast(device):
        return torch.stack(list(model(batch.images, batch.targets).values())).sum()
