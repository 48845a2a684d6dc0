"""The small detector on EfficientNet-Lite0, with the weights that its package brings."""

import random

import torch
from torch import Tensor

from vott_trainer.learning.optimizer import adamw
from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.efficientnet_lite import EfficientNetLite0, backbone_weights, classifier_weights
from vott_trainer.vision.lite_detector import LiteDetector


def pretrained(labels: int) -> LiteDetector:
    torch.manual_seed(0)
    model = LiteDetector(labels + 1)
    missing, unexpected = model.load_state_dict(backbone_weights(), strict=False)
    assert not unexpected
    assert all(name.startswith(("pyramid.", "head.")) for name in missing)
    return model


def rectangles(count: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Noise with a red or a green rectangle in each image."""
    generator, rng = torch.Generator().manual_seed(0), random.Random(0)
    images, targets = 0.3 * torch.rand(count, 3, 96, 128, generator=generator), []
    for number, image in enumerate(images):
        left, top, side = rng.randrange(0, 80), rng.randrange(0, 50), rng.randrange(24, 46)
        image[number % 2, top : top + side, left : left + side] = 1.0
        box = torch.tensor([[left, top, left + side, top + side]], dtype=torch.float32)
        targets.append({"boxes": box, "labels": torch.tensor([number % 2 + 1])})
    return images, targets


def test_features_have_the_strides_of_the_pyramid() -> None:
    maps = EfficientNetLite0()(torch.rand(1, 3, 64, 96))
    assert [tuple(features.shape[1:]) for features in maps] == [(40, 8, 12), (112, 4, 6), (320, 2, 3)]


def test_weights_are_imagenets() -> None:
    """An untrained network does not tell one noise from another; a trained one responds to edges."""
    backbone = EfficientNetLite0().eval()
    prefix = "backbone."
    backbone.load_state_dict({name.removeprefix(prefix): t for name, t in backbone_weights().items()})
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1.0
    flat = torch.full_like(edge, 0.5)
    with torch.no_grad():
        different = (backbone(edge)[0] - backbone(flat)[0]).abs().mean(dim=(0, 1, 2))
    assert different[3:5].mean() > 2 * different[:2].mean(), "where the edge is"
    assert classifier_weights()["head.0.weight"].shape == (1280, 320, 1, 1)


def test_detector_learns_where_objects_are_and_of_which_class() -> None:
    model, (images, targets) = pretrained(labels=2).train(), rectangles(8)
    optimizer, losses = adamw(model, 1e-3, ["backbone."]), []
    for _ in range(40):
        result = model(images, targets)
        assert isinstance(result, SummedLosses)
        loss = torch.stack(list(result.terms.values())).sum() / result.weight.clamp(min=1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    with torch.no_grad():
        found = model.eval()(list(images))
    for detections, target in zip(found, targets, strict=True):
        assert detections["labels"][0] == target["labels"][0]
        assert (detections["boxes"][0] - target["boxes"][0]).abs().max() < 12


def test_image_alone_gets_the_same_detections_as_in_a_batch() -> None:
    model, (images, _) = pretrained(labels=2).eval(), rectangles(2)
    with torch.no_grad():
        together, alone = model(list(images))[1], model([images[1]])[0]
    for name in together:
        assert torch.allclose(together[name], alone[name], atol=1e-3)


def test_no_more_detections_than_asked_for_and_none_outside_the_image() -> None:
    model = LiteDetector(4, max_detections=5).eval()
    with torch.no_grad():
        model.head.scores.weight.zero_()
        model.head.scores.weight += 1.0  # everything is an object
        (detections,) = model([torch.rand(3, 70, 90)])
    assert len(detections["boxes"]) == 5
    assert detections["scores"].tolist() == sorted(detections["scores"].tolist(), reverse=True)
    assert detections["boxes"].min() >= 0
    assert detections["boxes"][:, 2].max() <= 90


def test_first_layers_and_slow_kernels_keep_their_weights() -> None:
    model = pretrained(labels=1)
    kept = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert "backbone.stem.1.weight" in kept
    assert "backbone.stages.1.0.expand.0.weight" in kept
    assert "backbone.stages.5.1.depthwise.0.weight" in kept
    assert "backbone.stages.5.1.project.weight" not in kept
