"""The training loop with all that belongs to it, against bare forward, backward and step on tensors that are there already."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from demo.shapes import annotated_images
from vott_trainer.annotations import Box
from vott_trainer.evaluation import Evaluation
from vott_trainer.learning import device as devices
from vott_trainer.learning.batches import Batches, moved
from vott_trainer.learning.loop import Course, Loop
from vott_trainer.learning.state import State
from vott_trainer.plugins.base import LabelledImage, Links
from vott_trainer.plugins.detection import Batch, Detection, toned
from vott_trainer.progress import Progress
from vott_trainer.ranks import Ranks
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.architectures import ARCHITECTURES, ON_CPU, ON_GPU, build
from vott_trainer.vision.samples import Samples

IMAGES = 64
EPOCHS = 3
ROUNDS = 3
LABELS = ["circle", "square", "triangle"]
EMA_DECAY = 0.998


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
            batch_size=ARCHITECTURES[self.name].batch_size,
            seed=0,
            ranks=Ranks(),
            workers=devices.workers(Ranks()),
            pin=self.device.type == "cuda",
        )

    def model(self) -> nn.Module:
        """A new network, the same each time."""
        torch.manual_seed(0)
        model = build(self.name, len(LABELS), ARCHITECTURES[self.name].image_size).to(self.device)
        return model.to(memory_format=torch.channels_last)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure() -> str:
    """Sentence with both rates and their ratio: the median of rounds in which the two take turns."""
    with tempfile.TemporaryDirectory() as folder:
        bench = workbench(Path(folder))
        rounds = [(_product(bench), _bare(bench)) for _ in range(ROUNDS)]
    ours, bare = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return (
        f"training {bench.name} on {bench.device.type}: {ours:.1f} images/s; bare forward, backward and step on preloaded tensors: "
        f"{bare:.1f} images/s; ratio {ours / bare:.2f}"
    )


def workbench(folder: Path) -> Workbench:
    """Images on disk, decoded once, as after a training's first epoch."""
    device = devices.prepare(Ranks())
    name = ON_GPU if device.type == "cuda" else ON_CPU
    samples = Samples(images(folder), LABELS, ARCHITECTURES[name].image_size)
    for sample in samples:
        assert len(sample.boxes)
    return Workbench(folder, samples, device, name)


def images(folder: Path) -> list[LabelledImage]:
    """Annotated images, written to `folder`."""
    made = []
    for image in annotated_images(IMAGES):
        path = folder / image.name
        path.write_bytes(image.jpeg)
        boxes = [Box(box.x, box.y, box.width, box.height, box.label) for box in image.boxes]
        made.append(LabelledImage(f"file:///{image.name}", path, boxes))
    return made


def _product(bench: Workbench) -> float:
    """Images a second of the product's own loop, evaluation left out."""
    batches = bench.batches()
    rate = ARCHITECTURES[bench.name].learning_rate
    state = State(bench.model(), learning_rate=rate, steps=EPOCHS * len(batches), ema_decay=EMA_DECAY)
    run = TrainingRun(Links("", "", None), bench.folder / "work", Progress())
    loop = Loop(Detection(), state, batches, Course(EPOCHS, 0), run, lambda _model: Evaluation({"none": 0.0}))
    start = time.monotonic()
    loop.run()
    bench.synchronize()
    return EPOCHS * IMAGES / (time.monotonic() - start)


def _bare(bench: Workbench) -> float:
    """Images a second of the least that trains: the same batches, made before the clock starts."""
    model = bench.model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=ARCHITECTURES[bench.name].learning_rate)
    ready = [batch for epoch in range(1, EPOCHS + 1) for batch in preloaded(bench, epoch)]
    bench.synchronize()
    start = time.monotonic()
    for batch in ready:
        loss = forward(model, batch, bench.device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    bench.synchronize()
    return EPOCHS * IMAGES / (time.monotonic() - start)


def preloaded(bench: Workbench, epoch: int) -> list[Batch]:
    """The batches of one epoch on the device, as float images."""
    batches = [moved(part, bench.device) for step in bench.batches().epoch(epoch) for part, _ in step.parts]
    return [
        Batch([toned(p, *t) for p, t in zip(batch.images, batch.tones, strict=True)], batch.targets, [])
        for batch in batches
    ]


def forward(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """The loss of one batch."""
    with devices.autocast(device):
        return torch.stack(list(model(batch.images, batch.targets).values())).sum()
