"""The small detector on EfficientNet-Lite0, with the weights that its package brings."""

import random
from pathlib import Path

import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.nn import functional

from vott_trainer.learning.optimizer import adamw
from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.efficientnet_lite import (
    EfficientNetLite0,
    backbone_weights,
    folded,
    freeze_first_layers,
    packaged_file,
)
from vott_trainer.vision.lite_detector import LiteDetector
from vott_trainer.vision.onnx_export import export_detector


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


def test_folding_changes_nothing_but_the_speed() -> None:
    """A convolution with batch normalization, against the folded one."""
    conv, norm = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps=1e-3).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert tensor is not None
        tensor.data = torch.rand(32, generator=generator) + 0.1
    names = {"_conv_stem": conv, "_bn0": norm}
    state = torch.load(packaged_file(), map_location="cpu", weights_only=True)
    state |= {f"{name}.{key}": tensor for name, module in names.items() for key, tensor in module.state_dict().items()}
    tensors, images = folded(state), torch.rand(1, 3, 16, 16)
    actual = functional.conv2d(images, tensors["backbone.stem.1.weight"], tensors["backbone.stem.1.bias"], stride=2)
    with torch.no_grad():
        assert torch.allclose(actual, norm(conv(images)), atol=1e-5)
    assert tensors["head.0.weight"].shape == (1280, 320, 1, 1)


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
        with torch.autocast("cpu", torch.bfloat16):
            halves = model(list(images))
    for detections, half, target in zip(found, halves, targets, strict=True):
        assert detections["labels"][0] == half["labels"][0] == target["labels"][0]
        assert (detections["boxes"][0] - target["boxes"][0]).abs().max() < 12
        assert (detections["boxes"][0] - half["boxes"][0]).abs().max() < 1


def certain(labels: int, **options: int) -> LiteDetector:
    """A detector that finds objects everywhere."""
    model = LiteDetector(labels + 1, **options).eval()
    model.load_state_dict(backbone_weights(), strict=False)
    with torch.no_grad():
        model.head.scores.weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
        model.head.scores.weight += 0.02
    return model


def test_image_alone_gets_the_same_detections_as_in_a_batch() -> None:
    model = certain(labels=2)
    images = [
        torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
        for height, width in ((96, 128), (70, 50))
    ]
    with torch.no_grad():
        together, alone = model(images), [model([image])[0] for image in images]
    assert len(together[0]["boxes"]) == len(alone[0]["boxes"]) > 10
    assert torch.allclose(together[0]["boxes"], alone[0]["boxes"], atol=1e-2)
    height, width = images[1].shape[-2:]
    assert len(together[1]["boxes"])
    assert (together[1]["boxes"] <= torch.tensor([width, height, width, height])).all()


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_images_in_one_tensor_are_those_of_a_list(size: tuple[int, int]) -> None:
    model, images = certain(labels=2), torch.rand(2, 3, *size)
    with torch.no_grad():
        for one, other in zip(model(images), model(list(images)), strict=True):
            assert torch.allclose(one["boxes"], other["boxes"], atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 320), (31, 320), (320, 10), (33, 65)])
def test_images_of_any_shape_are_measured(height: int, width: int) -> None:
    with torch.no_grad():
        (detections,) = certain(labels=1)([torch.rand(3, height, width)])
    assert detections["boxes"].isfinite().all()


def test_exported_detector_takes_images_of_other_sizes(tmp_path: Path) -> None:
    model = certain(labels=1)
    result = export_detector(model, [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)], tmp_path, ["cat"])
    assert result["compared"] > 10, result
    session = InferenceSession(tmp_path / "model.onnx")
    for size in ((64, 320), (31, 320), (200, 40), (128, 128)):
        image = torch.rand(3, *size)
        with torch.no_grad():
            (expected,) = model([image])
        boxes, scores, _ = session.run(None, {"image": image.numpy()})
        assert len(boxes) == len(expected["boxes"]) > 0
        assert torch.allclose(torch.from_numpy(scores), expected["scores"], atol=1e-4)


def test_batch_without_objects_gives_each_parameter_a_gradient() -> None:
    """DistributedDataParallel waits for all of them."""
    model = pretrained(labels=2).train()
    freeze_first_layers(model)
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    result = model(torch.rand(2, 3, 64, 64), [nothing, nothing])
    torch.stack(list(result.terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_no_more_detections_than_asked_for_and_none_outside_the_image() -> None:
    model = certain(labels=3, max_detections=5)
    with torch.no_grad():
        (detections,) = model([torch.rand(3, 70, 90)])
    assert len(detections["boxes"]) == 5
    assert detections["scores"].tolist() == sorted(detections["scores"].tolist(), reverse=True)
    assert detections["boxes"].min() >= 0
    assert detections["boxes"][:, 2].max() <= 90


def test_first_layers_and_slow_kernels_keep_their_weights() -> None:
    model = pretrained(labels=1)
    assert all(parameter.requires_grad for parameter in model.parameters())
    freeze_first_layers(model)
    kept = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert "backbone.stem.1.weight" in kept
    assert "backbone.stages.1.0.expand.0.weight" in kept
    assert "backbone.stages.5.1.depthwise.0.weight" in kept
    assert "backbone.stages.5.1.project.weight" not in kept
