"""Training throughput, relative to bare forward, backward and optimizer steps on preloaded tensors.

Photographs that do not fit into memory are decoded in the first epoch and read from disk in the later ones.
"""

import io
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

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
from vott_trainer.plugin_api import Dataset, Evaluation, LabelledImage, Links, SummedLosses
from vott_trainer.plugins.detection import Batch, Detection, DetectionParameters, DetectorData
from vott_trainer.process.ranks import Ranks
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision import decoded_cache
from vott_trainer.vision.colors import recolored
from vott_trainer.vision.detectors import DETECTORS, ON_CPU

ON_GPU = "fcos_resnet50_fpn"  # needs no weights, which no build without internet has
IMAGES = 64  # of them, a fifth is held out
EPOCHS = 3
ROUNDS = 3
LABELS = ["circle", "square", "triangle"]
EMA_DECAY = 0.998


@dataclass(frozen=True)
class ImageSet:
    """Training images: scale factor relative to the demo's images, memory for decoded ones, and the ratio that is the goal."""

    description: str
    scale: int
    memory: int
    budgets: dict[str, float]


WARM = ImageSet("images cached in memory", 1, decoded_cache.CACHE_BYTES, {"cpu": 0.95, "cuda": 0.90})
COLD = ImageSet("photographs of 1920x1440, decoded images on disk", 6, 0, {"cpu": 0.90, "cuda": 0.90})


class FetchedRun(TrainingRun):
    """A run whose images are on disk."""

    def __init__(self, folder: Path, images: Sequence[LabelledImage] = ()) -> None:
        super().__init__(Links("", "", None), folder, Progress())
        self._images = images

    def dataset(self) -> Dataset:
        """Return the images."""
        return Dataset(list(self._images), LABELS)


@dataclass(frozen=True)
class Workbench:
    """Plugin, data and parameters as in a training; no image is decoded yet."""

    folder: Path
    run: FetchedRun
    plugin: Detection
    data: DetectorData
    parameters: DetectionParameters
    device: torch.device

    @property
    def name(self) -> str:
        """The architecture."""
        return self.parameters.architecture or ON_CPU

    def batches(self) -> Batches:
        """The trainer's batches, loaded in the background."""
        return Batches(
            self.plugin,
            self.data.training,
            batch_size=self.parameters.batch_size or 1,
            seed=0,
            ranks=Ranks(),
            workers=worker_threads(Ranks()),
            pin=self.device.type == "cuda",
        )

    def model(self) -> nn.Module:
        """A new network with the same weights each time."""
        torch.manual_seed(0)
        model = self.plugin.model(self.data, self.parameters).to(self.device)
        return model.to(memory_format=torch.channels_last)

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(count: int = IMAGES) -> str:
    """Report the throughput for images cached in memory, and for photographs of which no one is."""
    return "\n".join(_compare(image_set, count) for image_set in (WARM, COLD))


def _compare(image_set: ImageSet, count: int) -> str:
    """Report rates and their ratios: the median of alternating rounds."""
    with tempfile.TemporaryDirectory() as folder:
        annotated = images(Path(folder), image_set, count)
        rounds = [_round(workbench(Path(folder), image_set, annotated)) for _ in range(ROUNDS)]
        bench = workbench(Path(folder), image_set, annotated)
    first, later = (statistics.median(one[column] / one[2] for one in rounds) for column in (0, 1))
    trainer, bare = (statistics.median(one[column] for one in rounds) for column in (1, 2))
    return (
        f"training {bench.name} on {bench.device.type}, {image_set.description}: {trainer:.1f} images/s;"
        f" bare forward, backward and step on preloaded tensors: {bare:.1f} images/s;"
        f" ratio {later:.2f} (goal: at least {image_set.budgets[bench.device.type]:.2f}),"
        f" in the first epoch, which decodes, {first:.2f}"
    )


def _round(bench: Workbench) -> tuple[float, float, float]:
    """Images per second of the first epoch, of the later ones, and of the bare loop."""
    return _trainer(bench, 1), _trainer(bench, EPOCHS), _bare(bench)


def workbench(folder: Path, image_set: ImageSet, annotated: Sequence[LabelledImage]) -> Workbench:
    """Prepare a training as the trainer does."""
    device = devices.prepare(Ranks())
    name = ON_GPU if device.type == "cuda" else ON_CPU
    run, plugin = FetchedRun(folder / "work", annotated), Detection()
    parameters = DetectionParameters(architecture=name).resolved(run.dataset(), device)
    with mock.patch.object(decoded_cache, "CACHE_BYTES", image_set.memory):
        decoded_cache.shared_memory.cache_clear()
        data = plugin.data(run, parameters)
    return Workbench(folder, run, plugin, data, parameters, device)


def images(folder: Path, image_set: ImageSet, count: int) -> list[LabelledImage]:
    """Annotated images, written to `folder`."""
    labelled, scale = [], image_set.scale
    for image in annotated_images(count):
        path = folder / image.name
        path.write_bytes(_enlarged(image, scale) if scale > 1 else image.jpeg)
        sides = [(scale * box.x, scale * box.y, scale * box.width, scale * box.height) for box in image.boxes]
        boxes = [Box(*side, box.label) for side, box in zip(sides, image.boxes, strict=True)]
        labelled.append(LabelledImage(f"file:///{image.name}", path, boxes))
    return labelled


def _enlarged(image: AnnotatedImage, scale: int) -> bytes:
    """A larger JPEG with camera-like noise, because smooth images decode faster."""
    small = Image.open(io.BytesIO(image.jpeg))
    large = small.resize((scale * small.width, scale * small.height))
    grain = Image.frombytes("L", large.size, random.Random(0).randbytes(large.width * large.height))  # nosec B311 # not for security
    quiet = grain.point([value // 8 for value in range(256)]).convert("RGB")
    ImageChops.add(large, quiet, offset=-16).save(buffer := io.BytesIO(), "JPEG", quality=88)
    return buffer.getvalue()


def _trainer(bench: Workbench, epochs: int) -> float:
    """Images per second of the trainer's loop, without evaluation."""
    rate = DETECTORS[bench.name].learning_rate
    state = TrainingState(bench.model(), peak_learning_rate=rate, ema_decay=EMA_DECAY)
    settings = LoopSettings(epochs, 0)
    loop = Loop(bench.plugin, state, bench.batches(), settings, bench.run, lambda _model: Evaluation({"none": 0.0}))
    start = time.monotonic()
    loop.run()
    bench.synchronize()
    return epochs * len(bench.data.training) / (time.monotonic() - start)


def _bare(bench: Workbench) -> float:
    """Images per second of a minimal loop over the same batches, which are loaded before the clock starts."""
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
    return EPOCHS * len(bench.data.training) / (time.monotonic() - start)


def preloaded(bench: Workbench, epoch: int) -> list[Batch]:
    """The batches of one epoch on the device, as float images."""
    batches = [to_device(part, bench.device) for step in bench.batches().epoch(epoch) for part, _ in step.parts]
    return [Batch(recolored(batch.images, batch.colors), batch.targets, batch.colors) for batch in batches]


def forward(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """The loss of one batch."""
    with autocast(device):
        losses = model(batch.images, batch.targets)
        terms = losses.terms if isinstance(losses, SummedLosses) else losses
        return torch.stack(list(terms.values())).sum()
