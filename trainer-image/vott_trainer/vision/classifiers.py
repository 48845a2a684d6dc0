"""The classifiers by name, with random weights. Images are float [B, 3, S, S] in 0..1; the network returns logits [B, K]."""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision import models

from vott_trainer.learning.initial_weights import Head
from vott_trainer.vision.architectures import Architecture
from vott_trainer.vision.efficientnet_lite import DROPOUT, HEAD_CHANNELS, EfficientNetLite0, classifier_weights
from vott_trainer.vision.imagenet import MEAN, STD
from vott_trainer.vision.tiny_backbone import TinyBackbone

ClassifierName = Literal[
    "resnet_tiny", "efficientnet_lite0", "resnet18", "resnet50", "mobilenet_v3_small", "efficientnet_b0"
]


class Classifier(nn.Module):
    """A network for images normalized with ImageNet's mean and standard deviation; takes images in 0..1."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


class LiteClassifier(nn.Module):
    """EfficientNet-Lite0; takes images in 0..1."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.head = nn.Sequential(nn.Conv2d(self.backbone.channels[-1], HEAD_CHANNELS, 1), nn.ReLU6(inplace=True))
        self.dropout = nn.Dropout(DROPOUT)
        self.fc = nn.Linear(HEAD_CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = self.head(self.backbone(images)[-1]).mean(dim=(2, 3))
        logits: Tensor = self.fc(self.dropout(features))
        return logits


def resnet_tiny(num_classes: int) -> nn.Module:
    """Build a classifier on the small backbone, without its feature pyramid."""
    backbone = TinyBackbone()
    layers = [("stem", backbone.stem), *((f"stage{number}", stage) for number, stage in enumerate(backbone.stages))]
    pool = [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    return Classifier(nn.Sequential(OrderedDict([*layers, *pool, ("fc", nn.Linear(backbone.widths[-1], num_classes))])))


def build(name: str, labels: int) -> nn.Module:
    """Build the classifier `name` with random weights, for `labels` classes."""
    return CLASSIFIERS[name].build(num_classes=labels)


def _torchvision(name: str, head: str, learning_rate: float = 3e-4) -> Architecture:
    return Architecture(
        lambda num_classes: Classifier(models.get_model(name, weights=None, num_classes=num_classes)),
        image_size=224,
        batch_size=32,
        learning_rate=learning_rate,
        images_shown=20_000,
        epochs=8,
        heads=(Head(f"network.{head}."),),
    )


CLASSIFIERS = {
    "resnet_tiny": Architecture(
        resnet_tiny, 64, 16, 2e-3, images_shown=4000, epochs=8, heads=(Head("network.fc."),), is_large=False
    ),
    "efficientnet_lite0": Architecture(
        LiteClassifier,
        224,
        16,
        1e-3,
        images_shown=4000,
        epochs=8,
        heads=(Head("fc."),),
        backbone=("backbone.", "head."),
        packaged=classifier_weights,
    ),
    "resnet18": _torchvision("resnet18", "fc"),
    "resnet50": _torchvision("resnet50", "fc"),
    "mobilenet_v3_small": _torchvision("mobilenet_v3_small", "classifier.3", 1e-3),
    "efficientnet_b0": _torchvision("efficientnet_b0", "classifier.1"),
}
ON_CPU, ON_GPU = "efficientnet_lite0", ("resnet50",)
