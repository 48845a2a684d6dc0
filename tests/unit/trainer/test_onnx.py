"""ONNX export: ONNX Runtime computes what PyTorch does, or there is no file but a reason."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn

from vott_trainer.vision.detectors import build
from vott_trainer.vision.onnx_check import ENOUGH, TOLERANCE, compare_detections
from vott_trainer.vision.onnx_export import MAX_IMAGES, export_classifier, export_detector

LABELS = ["circle", "square", "größer"]


def perturbed(model: nn.Module) -> nn.Module:
    """The model with noise on its weights, so that outputs differ."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return model.eval()


def pixels(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    return perturbed(build("fcos_tiny", len(LABELS), 96))


def test_detector_takes_images_of_any_size_and_detects_what_pytorch_does(detector: nn.Module, tmp_path: Path) -> None:
    result = export_detector(detector, [pixels(72, 96)], tmp_path, LABELS)
    assert result["file"] == "model.onnx"
    assert result["inputs"] == {"image": [3, "height", "width"]}
    assert result["difference"] <= TOLERANCE
    image = pixels(50, 96).float() / 255
    boxes, scores, labels = InferenceSession(tmp_path / "model.onnx").run(None, {"image": image.numpy()})
    with torch.inference_mode():
        (expected,) = detector([image])
    assert len(scores) == len(expected["scores"]) > 0
    np.testing.assert_allclose(boxes, expected["boxes"], atol=0.01)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-4)
    np.testing.assert_array_equal(labels, expected["labels"])


def test_file_contains_its_labels(detector: nn.Module, tmp_path: Path) -> None:
    export_detector(detector, [pixels(96, 96)], tmp_path, LABELS)
    metadata = InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"]) == LABELS


def classifier() -> nn.Module:
    return perturbed(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    )


def test_classifier_takes_any_number_of_images_and_returns_probabilities(tmp_path: Path) -> None:
    result = export_classifier(model := classifier(), torch.rand(1, 3, 32, 32), tmp_path, LABELS)
    assert result["inputs"] == {"images": ["images", 3, 32, 32]}
    images = torch.rand(5, 3, 32, 32)
    (scores,) = InferenceSession(tmp_path / "model.onnx").run(None, {"images": images.numpy()})
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    with torch.inference_mode():
        np.testing.assert_allclose(scores, model(images).softmax(dim=1), atol=1e-5)


class _Resizing(nn.Module):
    """A detector that resizes with antialias, as RF-DETR does, and bakes the image's size into a trace."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image,) = images
        mean = nn.functional.interpolate(image[None], (8, 8), mode="bilinear", antialias=True).mean((2, 3))
        boxes = self.layer(mean) + float(image.shape[-1])
        return [{"boxes": boxes, "scores": mean[:, 0], "labels": torch.ones(1, dtype=torch.int64)}]


def test_detector_that_does_not_trace_with_any_size_takes_a_square(tmp_path: Path) -> None:
    result = export_detector(_Resizing(), [pixels(30, 40), pixels(40, 20)], tmp_path, ["a"])
    assert result["inputs"] == {"image": [3, 40, 40]}
    assert result["difference"] <= TOLERANCE


class _Spots(nn.Module):
    """Detects each bright column; once exported, `more` or `less` than that."""

    def __init__(self, exported_detects: str = "") -> None:
        super().__init__()
        self.exported_detects = exported_detects

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image,) = images
        columns = image.mean((0, 1))
        if torch.onnx.is_in_onnx_export():
            columns = columns * (0.0 if self.exported_detects == "less" else 1.0) + (
                0.9 if self.exported_detects == "more" else 0.0
            )
        scores = columns[columns > 0.5]
        boxes = torch.stack([scores, scores, scores + 1, scores + 1], dim=1)
        return [{"boxes": boxes, "scores": scores, "labels": torch.ones_like(scores, dtype=torch.int64)}]


DARK, BRIGHT = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.full((3, 8, 8), 200, dtype=torch.uint8)


@pytest.mark.parametrize(("exported_detects", "image"), [("less", BRIGHT), ("more", DARK), ("more", BRIGHT)])
def test_detector_that_detects_something_else_as_onnx_leaves_no_file(
    exported_detects: str, image: Tensor, tmp_path: Path
) -> None:
    result = export_detector(_Spots(exported_detects), [image], tmp_path, ["a"])
    assert result["file"] is None
    assert "differs from PyTorch's by" in result["why"]


def test_detector_without_detections_on_an_image_is_compared_on_another(tmp_path: Path) -> None:
    result = export_detector(_Spots(), [DARK, DARK, BRIGHT], tmp_path, ["a"])
    assert (result["compared"], result["difference"] <= TOLERANCE) == (8, True)
    assert "why" not in result
    result = export_detector(_Spots("less"), [DARK, DARK, BRIGHT], tmp_path, ["a"])
    assert result["file"] is None


def test_few_images_are_compared(tmp_path: Path) -> None:
    taken = list[int]()

    def held_out(image: Tensor) -> Iterator[Tensor]:
        for number in itertools.count(1):
            taken.append(number)
            yield image

    assert export_detector(_Spots(), held_out(BRIGHT), tmp_path, ["a"])["compared"] == 2 * 8 > ENOUGH
    assert len(taken) <= MAX_IMAGES
    assert export_detector(_Spots(), held_out(DARK), tmp_path, ["a"])["compared"] == 0


def test_detector_without_any_detections_is_reported_as_not_compared(tmp_path: Path) -> None:
    result = export_detector(_Spots(), [DARK, DARK], tmp_path, ["a"])
    assert (result["file"], result["difference"], result["compared"]) == ("model.onnx", None, 0)
    assert "detected nothing on the held-out images" in result["why"]


def test_detection_at_the_threshold_may_be_missing_on_one_side() -> None:
    none, borderline, clear = (
        [np.zeros((len(scores), 4)), np.array(scores), np.ones(len(scores), dtype=np.int64)]
        for scores in ([], [0.0504], [0.052])
    )
    image = torch.zeros(3, 8, 8)
    assert compare_detections(none, borderline, image) == (0.0, 0)
    assert compare_detections(none, clear, image).difference == np.inf
    assert compare_detections(clear, none, image).difference == np.inf


class _Unsupported(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return Tensor(torch.special.bessel_j0(images).mean((2, 3)))


class _Random(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * torch.rand(3)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(_Unsupported(), "special_bessel_j0"), (_Random(), "differs"), (nn.Linear(5, 5), "RuntimeError")],
)
def test_failed_export_is_reported_and_leaves_no_file(model: nn.Module, reason: str, tmp_path: Path) -> None:
    result = export_classifier(model, torch.rand(1, 3, 8, 8), tmp_path, LABELS)
    assert result["file"] is None
    assert reason in result["why"]
    assert list(tmp_path.iterdir()) == []


def test_export_does_not_change_the_model(tmp_path: Path) -> None:
    model = classifier().double().train()
    export_classifier(model, torch.rand(1, 3, 32, 32), tmp_path, LABELS)
    assert model.training
    assert next(model.parameters()).dtype == torch.float64
