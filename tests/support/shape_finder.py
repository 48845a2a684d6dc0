"""A network without weights that finds the shapes of `annotated_images` by their colors, and its evaluation in several processes."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed import FileStore, destroy_process_group, init_process_group  # type: ignore[attr-defined]

from tests.support.annotated_images import COLOURS, WIDTH, image_with_shapes
from vott_trainer.annotations import Box
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import shared_evaluation
from vott_trainer.plugin_api import Data, Evaluation, LabelledImage
from vott_trainer.plugins.detection import Detection
from vott_trainer.vision.detector_samples import Samples

CPU = torch.device("cpu")
COLORED = 0.1  # difference of the channels
MARGIN = 2.0


class ShapeFinder(nn.Module):
    """Finds one shape in each half of an image, with a box that is too large by `margin` on all sides."""

    margin: Tensor

    def __init__(self, margin: float = MARGIN) -> None:
        super().__init__()
        self.register_buffer("margin", torch.tensor(margin))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self._detections(image) for image in images]

    def _detections(self, image: Tensor) -> dict[str, Tensor]:
        middle = image.shape[2] // 2
        found = [self._shape(image[:, :, :middle], 0), self._shape(image[:, :, middle:], middle)]
        boxes, labels, scores = zip(*found, strict=True)
        return {"boxes": torch.stack(boxes), "labels": torch.stack(labels), "scores": torch.stack(scores)}

    def _shape(self, half: Tensor, left: int) -> tuple[Tensor, Tensor, Tensor]:
        """The box, the class and the score."""
        rows, columns = torch.where(half.amax(dim=0) - half.amin(dim=0) > COLORED)
        corners = torch.stack((columns.min() + left, rows.min(), columns.max() + 1 + left, rows.max() + 1))
        outwards = torch.tensor([-1, -1, 1, 1]) * self.margin
        return corners + outwards, half[:, rows, columns].mean(dim=1).argmax() + 1, half.mean()


class MaskFinder(ShapeFinder):
    """Also returns the inside of each box as its mask."""

    def _detections(self, image: Tensor) -> dict[str, Tensor]:
        detections = super()._detections(image)
        masks = torch.zeros(2, *image.shape[1:])
        for mask, (left, top, right, bottom) in zip(masks, detections["boxes"].int().tolist(), strict=True):
            mask[max(0, top) : bottom, max(0, left) : right] = 0.9
        return {**detections, "masks": masks}


def shapes_data(folder: Path, count: int) -> Data:
    """Held-out images with shapes, written to `folder`."""
    images = []
    for seed in range(count):
        content, shapes = image_with_shapes(seed)
        (path := folder / f"{seed}.png").write_bytes(content)
        boxes = [Box(shape.x, shape.y, shape.side, shape.side, shape.label) for shape in shapes]
        images.append(LabelledImage(f"https://store/{seed}.png", path, boxes))
    labels = list(COLOURS)
    return Data([], Samples(images, labels, WIDTH, shapes=True), labels)


def measurements(evaluation: Evaluation) -> str:
    """What can be compared, as JSON."""
    names = [example.name for example in evaluation.examples]
    confusion = evaluation.confusion.counts if evaluation.confusion else []
    return json.dumps([evaluation.metrics, evaluation.per_class, evaluation.thresholds, confusion, names])


def evaluate_as_rank(rank: int, processes: int, count: int, folder: Path) -> None:
    """Evaluate `count` images together with the other ranks; write what this rank gets to the file `rank-N`."""
    torch.set_num_threads(1)
    (own := folder / f"images-{rank}").mkdir()
    init_process_group("gloo", store=FileStore(str(folder / "store"), processes), rank=rank, world_size=processes)
    finder = ShapeFinder(MARGIN + rank)
    data = shapes_data(own, count)
    evaluation = shared_evaluation.evaluate(Detection(), finder, data, CPU)
    text = measurements(evaluation) if evaluation else ""
    if rank == processes - 1:
        finder.register_forward_pre_hook(_interrupted)
    try:
        shared_evaluation.evaluate(Detection(), finder, data, CPU)
    except InterruptedTrainingError:
        text += "\ninterrupted"
    (folder / f"rank-{rank}").write_text(text)
    destroy_process_group()


def _interrupted(*_: object) -> None:
    raise InterruptedTrainingError
