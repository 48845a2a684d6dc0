"""Defaults that follow from the images and the device."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.learning import initial_weights
from vott_trainer.plugin_api import Dataset, LabelledImage
from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.plugins.detection import DetectionParameters
from vott_trainer.vision import architecture_parameters
from vott_trainer.vision.architecture_parameters import directed_classes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (1000, 500)).save(path := tmp_path / "photo.jpg")
    return path


def dataset(photo: Path, count: int, side: float = 300, labels: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    boxes = [Box(0, 0, side, side, label) for label in labels]
    return Dataset(
        [LabelledImage(f"https://store/{n}.jpg", photo, boxes, labels[0]) for n in range(count)], list(labels)
    )


class GPUMemory:
    total_memory = 80 << 30


@pytest.fixture(autouse=True)
def large_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: GPUMemory)


@pytest.mark.parametrize(("images", "epochs"), [(1, 200), (40, 200), (160, 50), (399, 21), (400, 20), (2000, 20)])
def test_default_epochs_are_fewer_for_more_images_within_bounds(images: int, epochs: int, photo: Path) -> None:
    assert DetectionParameters().resolved(dataset(photo, images), CPU).epochs == epochs


def test_steps_are_smaller_on_a_cpu(photo: Path) -> None:
    parameters = DetectionParameters(architecture="efficientnet_lite0_fpn")
    assert parameters.resolved(dataset(photo, 10), CPU).batch_size == 2
    assert parameters.resolved(dataset(photo, 10), GPU).batch_size == 8
    assert DetectionParameters(architecture="fcos_tiny").resolved(dataset(photo, 10), CPU).batch_size == 8


@pytest.mark.parametrize(("images", "minutes"), [(10, 14), (500, 14), (1000, 28)])
def test_more_images_get_a_larger_budget(images: int, minutes: float, photo: Path) -> None:
    assert DetectionParameters().resolved(dataset(photo, images), CPU).budget_minutes == minutes


def test_budget_that_follows_from_the_images_is_for_each_fold(photo: Path) -> None:
    assert DetectionParameters(folds=5).resolved(dataset(photo, 10), CPU).budget_minutes == 5 * 14
    assert DetectionParameters(folds=5, budgetMinutes=10).resolved(dataset(photo, 10), CPU).budget_minutes == 10


def test_number_of_epochs_in_the_message_is_not_cut_by_a_default_budget(photo: Path) -> None:
    assert DetectionParameters(epochs=5).resolved(dataset(photo, 10), CPU).budget_minutes is None
    assert DetectionParameters(epochs=5, budgetMinutes=3).resolved(dataset(photo, 10), CPU).budget_minutes == 3


@pytest.mark.parametrize(("side", "size"), [(500, 320), (88, 320), (70, 416), (20, 512)])
def test_images_are_larger_if_objects_are_small(side: float, size: int, photo: Path) -> None:
    resolved = DetectionParameters().resolved(dataset(photo, 3, side), CPU)
    assert resolved.image_size == size
    assert any(str(size) in reason for reason in resolved.reasons) == (size > 320)


def test_size_that_the_checks_have_read_is_not_read_again() -> None:
    image = LabelledImage("https://store/1.jpg", Path("no-such-file"), [Box(0, 0, 20, 20, "cat")], size=(1000, 500))
    assert DetectionParameters().resolved(Dataset([image], ["cat"]), CPU).image_size == 512


def test_default_on_a_gpu_is_the_best_architecture_with_weights(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(initial_weights, "FOLDER", tmp_path)
    images = dataset(photo, 10)
    without = DetectionParameters().resolved(images, GPU)
    assert without.architecture == "efficientnet_lite0_fpn"
    assert "has no weights for rf_detr_small" in without.reasons[0]
    (tmp_path / "fcos_resnet50_fpn.safetensors").touch()
    assert DetectionParameters().resolved(images, GPU).architecture == "fcos_resnet50_fpn"
    (tmp_path / "rf_detr_small.safetensors").touch()
    best = DetectionParameters().resolved(images, GPU)
    assert (best.architecture, best.image_size, best.learning_rate, best.reasons) == ("rf_detr_small", 512, 1e-4, [])
    (tmp_path / "resnet50.safetensors").touch()
    assert ClassificationParameters().resolved(images, GPU).architecture == "resnet50"


def test_small_gpu_gets_the_architecture_of_the_cpu(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GPUMemory, "total_memory", 4 << 30)
    resolved = DetectionParameters().resolved(dataset(photo, 10), GPU)
    assert resolved.architecture == "efficientnet_lite0_fpn"
    assert "GPU's memory is small" in resolved.reasons[0]


def test_parameters_of_the_message_are_kept(photo: Path) -> None:
    message = ClassificationParameters(
        architecture="resnet18",
        epochs=3,
        batchSize=5,
        learningRate=0.1,
        imageSize=100,
        mirror=True,
        earlyStopping=0,
        budgetMinutes=0.5,
    )
    assert message.resolved(dataset(photo, 10), CPU) == message


def test_classifier_of_boxes_counts_boxes(photo: Path) -> None:
    images = dataset(photo, 1000)
    assert ClassificationParameters(classify="images").resolved(images, CPU).budget_minutes == 28
    assert ClassificationParameters(classify="boxes").resolved(images, CPU).budget_minutes == 56


@pytest.mark.parametrize(("label", "is_directed"), [
    ("left", True), ("Left", True), ("turn right", True), ("arrow-left", True), ("hand_right", True), ("handLeft", True), ("LEFT ARROW", True),
    ("ARROWLeft", True), ("bright", False), ("leftover", False), ("copyright", False), ("cat", False),
])  # fmt: skip
def test_classes_called_left_or_right_switch_mirroring_off(label: str, is_directed: bool, photo: Path) -> None:
    assert directed_classes([label]) == ([label] if is_directed else [])
    resolved = DetectionParameters().resolved(dataset(photo, 2, labels=("cat", label)), CPU)
    assert resolved.mirror is not is_directed
    assert any(label in reason for reason in resolved.reasons) == is_directed


def test_mirroring_on_request_is_reported_if_classes_have_a_direction(photo: Path) -> None:
    (reason,) = DetectionParameters(mirror=True).resolved(dataset(photo, 2, labels=("left", "right")), CPU).reasons
    assert reason.endswith("can't be told from its mirror image. Set mirror to false.")
    assert architecture_parameters.MAX_EPOCHS == 200
