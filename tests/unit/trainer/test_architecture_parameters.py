"""Defaults of the parameters by device, architecture and number of images."""

import pytest
import torch

from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.plugins.detection import DetectionParameters

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("images", "epochs"), [(0, 200), (7, 200), (8, 188), (48, 32), (187, 9), (188, 8), (100_000, 8)]
)
def test_default_epochs_are_fewer_for_more_images_within_bounds(images: int, epochs: int) -> None:
    assert DetectionParameters().resolved(images, CPU).epochs == epochs


def test_default_architecture_follows_the_device_and_brings_its_settings() -> None:
    on_cpu, on_gpu = (DetectionParameters().resolved(10, device) for device in (CPU, GPU))
    assert (on_cpu.architecture, on_cpu.image_size, on_cpu.batch_size) == ("fcos_tiny", 160, 8)
    assert (on_gpu.architecture, on_gpu.image_size, on_gpu.learning_rate) == ("fcos_resnet50_fpn", 800, 2e-4)
    assert ClassificationParameters().resolved(10, CPU).architecture == "resnet_tiny"
    assert ClassificationParameters().resolved(10, GPU).architecture == "resnet50"


def test_parameters_of_the_message_are_kept() -> None:
    message = ClassificationParameters(architecture="resnet18", epochs=3, batchSize=5, learningRate=0.1, imageSize=100)
    assert message.resolved(10, CPU) == message
