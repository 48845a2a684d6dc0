"""Classification: what is classified, its augmentation on the device, and predictions."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vott_trainer.annotations import Box
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.learning import mixed_precision, weights
from vott_trainer.plugin_api import Dataset, LabelledImage
from vott_trainer.plugins.classification import Batch, Classification, ClassificationParameters, scores
from vott_trainer.vision.classifiers import build
from vott_trainer.vision.colors import random_colors, recolored
from vott_trainer.vision.initial_data import InitialData

PARAMETERS = ClassificationParameters(architecture="resnet_tiny", imageSize=40, initialWeights="none")


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    """Eight images of the classes cat and dog, each with a box of the class eye and one of the class ear."""
    made = []
    for number in range(8):
        Image.new("RGB", (60, 50), (30 * number, 0, 0)).save(path := tmp_path / f"{number}.png")
        boxes = [Box(2, 3, 20, 20, "eye"), Box(30, 3, 20, 20, "ear")]
        made.append(LabelledImage(f"https://store/{number}.png", path, boxes, ("cat", "dog")[number % 2]))
    return made


def split(images: list[LabelledImage], plugin: Classification | None = None, **changes: Any) -> InitialData:
    run: Any = SimpleNamespace(dataset=lambda: Dataset(images, []), work_dir=images[0].path.parent)
    return (plugin or Classification()).data(run, PARAMETERS.model_copy(update=changes))


@pytest.mark.parametrize(
    ("classify", "labels", "items"),
    [(None, ["cat", "dog"], 8), ("images", ["cat", "dog"], 8), ("boxes", ["ear", "eye"], 16)],
)
def test_whole_images_are_classified_before_their_boxes(
    classify: str | None, labels: list[str], items: int, images: list[LabelledImage]
) -> None:
    data = split(images, classify=classify)
    assert data.labels == labels
    assert data.counts["trainingImages"] + data.counts["heldOutImages"] == items


def test_boxes_are_classified_if_no_image_has_a_class(images: list[LabelledImage]) -> None:
    without = [LabelledImage(image.url, image.path, image.boxes) for image in images]
    assert split(without).labels == ["ear", "eye"]


def test_single_class_is_refused(images: list[LabelledImage]) -> None:
    with pytest.raises(BadAnnotationsError, match="the class 'cat'"):
        split(images[::2])


def test_one_image_of_each_class_is_refused(images: list[LabelledImage]) -> None:
    with pytest.raises(NoUsableImagesError, match="only one image of each class"):
        split(images[:2])


def test_each_item_is_augmented_with_its_own_random_numbers(images: list[LabelledImage]) -> None:
    plugin = Classification()
    items = list(split(images, plugin, mirror=True).training)
    whole = plugin.batch(items, [random.Random(seed) for seed in range(len(items))])
    alone = plugin.batch(items[2:3], [random.Random(2)])
    assert whole.labels.tolist() == [item.label for item in items]
    assert torch.equal(whole.images[2], alone.images[0])
    assert torch.equal(whole.colors[2], alone.colors[0])


def test_loss_applies_the_colors_of_each_image() -> None:
    seen: list[Tensor] = []

    class Network(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return torch.zeros(len(images), 2)

    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    colors = torch.stack([random_colors(random.Random(seed)) for seed in range(2)])
    losses = Classification().loss(Network(), Batch(images, torch.tensor([0, 1]), colors))
    assert torch.allclose(seen[0], recolored(images, colors))
    assert float(losses["classification"]) == pytest.approx(float(torch.tensor(2.0).log()))


def test_five_most_likely_classes_are_predicted(images: list[LabelledImage], tmp_path: Path) -> None:
    labels = [f"class {number}" for number in range(7)]
    (folder := tmp_path / "model").mkdir()
    weights.save(build("resnet_tiny", 7), folder, "resnet_tiny", labels)
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet_tiny", "labels": labels, "imageSize": 40}))
    predictions = Classification().predict(folder, images[0].path)
    scores = [prediction.score for prediction in predictions]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert 5 / 7 <= sum(scores) < 1


def test_scores_in_half_precision_are_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = build("resnet_tiny", 3)
    seen = list[torch.dtype]()
    model.register_forward_hook(lambda _model, _images, logits: seen.append(logits.dtype))
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    whole = scores(model, images, torch.device("cpu"))
    monkeypatch.setattr(mixed_precision, "precision", lambda _device: torch.bfloat16)
    half = scores(model, images, torch.device("cpu"))
    assert seen == [torch.float32, torch.bfloat16]
    assert half.dtype == torch.float32
    assert torch.allclose(half, whole, atol=0.02)
