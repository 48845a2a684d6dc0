"""Training throughput, relative to bare forward, backward and optimizer steps on preloaded tensors."""

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
from vott_trainer.plugin_api import Evaluation, LabelledImage, Links, SummedLosses
from vott_trainer.plugins.detection import Batch, Detection
from vott_trainer.process.ranks import Ranks
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.colors import recolored
from vott_trainer.vision.decoded_cache import CacheMemory
from vott_trainer.vision.detector_samples import Samples
from vott_trainer.vision.detectors import DETECTORS, ON_CPU, build

ON_GPU = "fcos_resnet50_fpn"  # needs no weights, which no build without internet has
BUDGETS = {"cpu": 0.95, "cuda": 0.90}
IMAGES = 64
EPOCHS = 3
ROUNDS = 3
LABELS = ["circle", "square", "triangle"]
EMA_DECAY = 0.998


@dataclass(frozen=True)
class ImageSet:
    """Training images: scale factor relative to the demo's images, and whether they stay decoded in memory."""

    description: str
    scale: int = 1
    is_cached: bool = True


WARM = ImageSet("images cached in memory")
COLD = ImageSet("uncached photographs of 1920x1440", scale=6, is_cached=False)


@dataclass(frozen=True)
class Workbench:
    """Images, network and device of one measurement."""

    folder: Path
    samples: Samples
    device: torch.device
    name: str

    def batches(self) -> Batches:
        """The trainer's batches, loaded in the background."""
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
        """A new network with the same weights each time."""
        torch.manual_seed(0)
        detector = DETECTORS[self.name]
        model = build(self.name, len(LABELS), detector.image_size).to(self.device)
        if detector.packaged:
            model.load_state_dict(detector.packaged(), strict=False)
        return model.to(memory_format=torch.channels_last)

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(count: int = IMAGES) -> str:
    """Report the throughput for cached images, and for images that are decoded in each epoch."""
    return "\n".join(_compare(image_set, count) for image_set in (WARM, COLD))


def _compare(image_set: ImageSet, count: int) -> str:
    """Report both rates and their ratio: the median of alternating rounds."""
    with tempfile.TemporaryDirectory() as folder:
        bench = workbench(Path(folder), image_set, count)
        rounds = [(_trainer(bench), _bare(bench)) for _ in range(ROUNDS)]
    trainer, bare = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return (
        f"training {bench.name} on {bench.device.type}, {image_set.description}: {trainer:.1f} images/s;"
        f" bare forward, backward and step on preloaded tensors: {bare:.1f} images/s;"
        f" ratio {trainer / bare:.2f} (budget: at least {BUDGETS[bench.device.type]:.2f})"
    )


def workbench(folder: Path, image_set: ImageSet = WARM, count: int = IMAGES) -> Workbench:
    """Images on disk, each decoded once as after the first epoch of a training."""
    device = devices.prepare(Ranks())
    name = ON_GPU if device.type == "cuda" else ON_CPU
    memory = None if image_set.is_cached else CacheMemory(0)
    detector = DETECTORS[name]
    annotated = images(folder, image_set, count)
    samples = Samples(annotated, LABELS, detector.image_size, memory, square=detector.square)
    for sample in samples:
        assert len(sample.boxes)
    return Workbench(folder, samples, device, name)


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


def _trainer(bench: Workbench) -> float:
    """Images per second of the trainer's loop, without evaluation."""
    batches = bench.batches()
    rate = DETECTORS[bench.name].learning_rate
    state = TrainingState(bench.model(), peak_learning_rate=rate, ema_decay=EMA_DECAY)
    run = TrainingRun(Links("", "", None), bench.folder / "work", Progress())
    loop = Loop(Detection(), state, batches, LoopSettings(EPOCHS, 0), run, lambda _model: Evaluation({"none": 0.0}))
    start = time.monotonic()
    loop.run()
    bench.synchronize()
    return EPOCHS * len(bench.samples) / (time.monotonic() - start)


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
    return EPOCHS * len(bench.samples) / (time.monotonic() - start)


def preloaded(bench: Workbench, epoch: int) -> list[Batch]:
    """The batches of one epoch on the device, as float images."""
    batches = [to_device(part, bench.device) for step in bench.batches().epoch(epoch) for part, _ in step.parts]
    return [Batch(recolored(batch.images, batch.colors), batch.targets, batch.colors) for batch in batches]


def forward(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """The loss of one batch."""
    with autocast(device):
        losses = model(list(batch.images), batch.targets)
        terms = losses.terms if isinstance(losses, SummedLosses) else losses
        return torch.stack(list(terms.values())).sum()
