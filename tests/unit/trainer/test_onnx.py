"""The model as ONNX: what ONNX Runtime says of it is what PyTorch says, or there is none and it is said why."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn

from vott_trainer.vision import onnx
from vott_trainer.vision.architectures import build
from vott_trainer.vision.onnx import ENOUGH, MOST_IMAGES, TOLERANCE, export_classifier, export_detector

LABELS = ["circle", "square", "größer"]


def shaken(model: nn.Module) -> nn.Module:
    """Weights with some spread, so that outputs differ."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return model.eval()


def pixels(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    return shaken(build("fcos_tiny", len(LABELS), 96))


def test_detector_takes_images_of_any_size_and_sees_what_pytorch_sees(detector: nn.Module, tmp_path: Path) -> None:
    told = export_detector(detector, [pixels(72, 96)], tmp_path, LABELS)
    assert told["file"] == "model.onnx"
    assert told["inputs"] == {"image": [3, "height", "width"]}
    assert told["difference"] <= TOLERANCE
    image = pixels(50, 96).float() / 255
    boxes, scores, labels = InferenceSession(tmp_path / "model.onnx").run(None, {"image": image.numpy()})
    with torch.inference_mode():
        (expected,) = detector([image])
    assert len(scores) == len(expected["scores"]) > 0
    np.testing.assert_allclose(boxes, expected["boxes"], atol=0.01)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-4)
    np.testing.assert_array_equal(labels, expected["labels"])


def test_file_knows_its_labels(detector: nn.Module, tmp_path: Path) -> None:
    export_detector(detector, [pixels(96, 96)], tmp_path, LABELS)
    known = InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(known["labels"]) == LABELS


def classifier() -> nn.Module:
    return shaken(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    )


def test_classifier_takes_any_number_of_images_and_its_scores_are_shares(tmp_path: Path) -> None:
    told = export_classifier(model := classifier(), torch.rand(1, 3, 32, 32), tmp_path, LABELS)
    assert told["inputs"] == {"images": ["images", 3, 32, 32]}
    images = torch.rand(5, 3, 32, 32)
    (scores,) = InferenceSession(tmp_path / "model.onnx").run(None, {"images": images.numpy()})
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    with torch.inference_mode():
        np.testing.assert_allclose(scores, model(images).softmax(dim=1), atol=1e-5)


class _Squeezing(nn.Module):
    """A detector that resizes with antialias, as RF-DETR does, and forgets in a trace how large the image was."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image,) = images
        mean = nn.functional.interpolate(image[None], (8, 8), mode="bilinear", antialias=True).mean((2, 3))
        boxes = self.layer(mean) + float(image.shape[-1])
        return [{"boxes": boxes, "scores": mean[:, 0], "labels": torch.ones(1, dtype=torch.int64)}]


def test_detector_that_does_not_trace_with_any_size_takes_a_square(tmp_path: Path) -> None:
    told = export_detector(_Squeezing(), [pixels(30, 40), pixels(40, 20)], tmp_path, ["a"])
    assert told["inputs"] == {"image": [3, 40, 40]}
    assert told["difference"] <= TOLERANCE


class _Spots(nn.Module):
    """A detector that sees one thing for each column that is bright enough, and what it `imagines` only once it is exported."""

    def __init__(self, imagines: str = "") -> None:
        super().__init__()
        self.imagines = imagines

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image,) = images
        columns = image.mean((0, 1))
        if torch.onnx.is_in_onnx_export():
            columns = columns * (0.0 if self.imagines == "less" else 1.0) + (0.9 if self.imagines == "more" else 0.0)
        scores = columns[columns > 0.5]
        boxes = torch.stack([scores, scores, scores + 1, scores + 1], dim=1)
        return [{"boxes": boxes, "scores": scores, "labels": torch.ones_like(scores, dtype=torch.int64)}]


DARK, BRIGHT = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.full((3, 8, 8), 200, dtype=torch.uint8)


@pytest.mark.parametrize(("imagines", "seen"), [("less", BRIGHT), ("more", DARK), ("more", BRIGHT)])
def test_detector_that_sees_more_or_less_as_onnx_leaves_no_file(imagines: str, seen: Tensor, tmp_path: Path) -> None:
    told = export_detector(_Spots(imagines), [seen], tmp_path, ["a"])
    assert told["file"] is None
    assert "differs from PyTorch's by" in told["why"]


def test_detector_that_sees_nothing_on_an_image_is_compared_on_another_one(tmp_path: Path) -> None:
    told = export_detector(_Spots(), [DARK, DARK, BRIGHT], tmp_path, ["a"])
    assert (told["compared"], told["difference"] <= TOLERANCE) == (8, True)
    assert "why" not in told
    told = export_detector(_Spots("less"), [DARK, DARK, BRIGHT], tmp_path, ["a"])
    assert told["file"] is None


def test_no_more_images_are_looked_at_than_are_needed(tmp_path: Path) -> None:
    looked = list[int]()

    def held_out(image: Tensor) -> Iterator[Tensor]:
        for number in itertools.count(1):
            looked.append(number)
            yield image

    assert export_detector(_Spots(), held_out(BRIGHT), tmp_path, ["a"])["compared"] == 2 * 8 > ENOUGH
    assert len(looked) <= MOST_IMAGES
    assert export_detector(_Spots(), held_out(DARK), tmp_path, ["a"])["compared"] == 0


def test_detector_that_sees_nothing_at_all_is_said_to_be_not_compared(tmp_path: Path) -> None:
    told = export_detector(_Spots(), [DARK, DARK], tmp_path, ["a"])
    assert (told["file"], told["difference"], told["compared"]) == ("model.onnx", None, 0)
    assert "saw nothing on the held-out images" in told["why"]


def test_detection_at_the_threshold_may_be_missing_on_one_side() -> None:
    none, border, clear = (
        [np.zeros((len(scores), 4)), np.array(scores), np.ones(len(scores), dtype=np.int64)]
        for scores in ([], [0.0504], [0.052])
    )
    image = torch.zeros(3, 8, 8)
    assert onnx._detections_agree(none, border, image) == (0.0, 0)
    assert onnx._detections_agree(none, clear, image).difference == np.inf
    assert onnx._detections_agree(clear, none, image).difference == np.inf


class _Unheard(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return Tensor(torch.special.bessel_j0(images).mean((2, 3)))


class _Random(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * torch.rand(3)


@pytest.mark.parametrize(
    ("model", "why"), [(_Unheard(), "special_bessel_j0"), (_Random(), "differs"), (nn.Linear(5, 5), "RuntimeError")]
)
def test_model_that_can_t_be_exported_is_told_of_and_leaves_no_file(model: nn.Module, why: str, tmp_path: Path) -> None:
    told = export_classifier(model, torch.rand(1, 3, 8, 8), tmp_path, LABELS)
    assert told["file"] is None
    assert why in told["why"]
    assert list(tmp_path.iterdir()) == []


def test_model_is_left_where_it_is_and_as_it_is(tmp_path: Path) -> None:
    model = classifier().double().train()
    export_classifier(model, torch.rand(1, 3, 32, 32), tmp_path, LABELS)
    assert model.training
    assert next(model.parameters()).dtype == torch.float64
