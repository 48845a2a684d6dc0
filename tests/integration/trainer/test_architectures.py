"""Detector architectures: each follows torchvision's convention for inputs, losses and detections, and learns."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from tests.support.tiny_detrs import NAMES, randomized, tiny_detr
from vott_trainer.learning import mixed_precision, weights
from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.detector_evaluation import detect
from vott_trainer.vision.detectors import CLASSIFICATION_LOSSES, DETECTORS, DetectorName, build

LABELS = 2


def detector(name: str, image_size: int = 96) -> nn.Module:
    """The detector with that name, as small as possible."""
    torch.manual_seed(0)
    if name in NAMES:
        return tiny_detr(name, LABELS, image_size=image_size)  # type: ignore[no-any-return]
    return build(name, LABELS, image_size)


def images() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, 64, 96), torch.rand(3, 96, 80)]


def targets() -> list[dict[str, Tensor]]:
    """Two objects in the first image, none in the second."""
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 90.0, 60.0]])
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return [{"boxes": boxes, "labels": torch.tensor([1, 2])}, none]


def losses_of(model: nn.Module, images: list[Tensor] | Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The losses, divided by their weight if they are sums."""
    losses: dict[str, Tensor] | SummedLosses = model(images, targets)
    if not isinstance(losses, SummedLosses):
        return losses
    return {name: loss / losses.weight.clamp(min=1) for name, loss in losses.terms.items()}


def total_loss(model: nn.Module) -> Tensor:
    torch.manual_seed(2)
    return torch.stack(list(losses_of(model, images(), targets()).values())).sum()


REPRESENTATIVES = ["fcos_tiny"]  # tests/unit/trainer/test_detr.py has those of `transformers`


def test_every_detector_can_be_named_in_a_message() -> None:
    assert set(get_args(DetectorName)) == set(DETECTORS)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_steps_lower_the_loss(name: str) -> None:
    model = detector(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    before = total_loss(model)
    assert torch.isfinite(before)
    for _ in range(3):
        optimizer.zero_grad()
        total_loss(model).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert total_loss(model) < before


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_every_parameter_gets_a_gradient_as_distributed_training_requires(name: str) -> None:
    model = detector(name).train()
    total_loss(model).backward()  # type: ignore[no-untyped-call]
    assert [
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    ] == []


@pytest.mark.parametrize("name", [*REPRESENTATIVES, *NAMES])
def test_detections_are_within_the_image_and_have_known_labels(name: str) -> None:
    model = detector(name).eval()
    for image, found in zip(images(), model(images()), strict=True):
        height, width = image.shape[1:]
        assert found["boxes"].shape == (len(found["scores"]), 4)
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert set(found["labels"].tolist()) <= {0, 1, 2}  # 0 is torchvision's background
        assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_saved_model_gives_the_same_output(name: str, tmp_path: Path) -> None:
    model = detector(name)
    total_loss(model.train())  # changes the running means
    weights.save(model, tmp_path, name, ["a", "b"])
    torch.manual_seed(3)
    loaded = weights.load(build(name, LABELS, 96), tmp_path)
    for one, other in zip(model.eval()(images()), loaded(images()), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("boxes", "labels", "scores"))


@pytest.mark.parametrize(
    ("name", "layers"),
    [("fcos_resnet50_fpn", 53), ("retinanet_resnet50_fpn_v2", 53), ("fasterrcnn_resnet50_fpn_v2", 65)],
)
def test_batch_statistics_of_pretrained_networks_are_frozen(name: str, layers: int) -> None:
    """As in torchvision's FCOS: same parameters, but training does not change the running means."""
    model = build(name, LABELS, 96, pretrained=True).train()
    means = {name: mean.clone() for name, mean in model.named_buffers() if name.endswith("running_mean")}
    assert len(means) == layers
    model(images(), targets())
    assert all(torch.equal(means[name], mean) for name, mean in model.named_buffers() if name in means)
    fresh = build(name, LABELS, 96).state_dict()
    assert fresh.keys() - model.state_dict().keys() == {name for name in fresh if name.endswith("num_batches_tracked")}
    assert "num_batches_tracked" in str(build("fcos_tiny", LABELS, 96, pretrained=True).state_dict().keys())


@pytest.mark.parametrize(
    "name", ["fcos_tiny", "fcos_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2"]
)
def test_anchors_are_float32_under_autocast(name: str) -> None:
    model = build(name, labels=2, image_size=128)
    anchor_dtypes: list[torch.dtype] = []
    for path, module in model.named_modules():
        if path.endswith("anchor_generator"):
            module.register_forward_hook(
                lambda _module, _args, anchors: anchor_dtypes.extend(one.dtype for one in anchors)
            )
    target = {"boxes": torch.tensor([[4.0, 4.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(model, [torch.rand(3, 128, 96)], [target])
    assert set(anchor_dtypes) == {torch.float32}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


@pytest.mark.parametrize("name", ["fcos_tiny", "efficientnet_lite0_fpn", *NAMES])
def test_boxes_are_decoded_in_float32_in_an_evaluation_in_half_precision(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has only every second number from 256 on."""
    model = randomized(detector(name, 512))
    image = torch.randint(0, 256, (3, 400, 512), dtype=torch.uint8)
    whole = detect(model, image, torch.device("cpu"))["boxes"]
    monkeypatch.setattr(mixed_precision, "precision", lambda _device: torch.bfloat16)
    half = detect(model, image, torch.device("cpu"))["boxes"]
    assert not torch.equal(whole, half)
    assert (half[(half > 256) & (half < 400)] % 2 != 0).any()


@pytest.mark.parametrize("name", DETECTORS)
def test_every_architecture_trains_and_detects_without_a_download(name: str) -> None:
    model = build(name, labels=2, image_size=64)
    targets = [{"boxes": torch.tensor([[4.0, 4.0, 30.0, 30.0]]), "labels": torch.tensor([2])}] * 2
    losses = losses_of(model, torch.rand(2, 3, 64, 48), targets)
    assert any(name in losses for name in CLASSIFICATION_LOSSES)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert {"boxes", "labels", "scores"} <= set(model.eval()([torch.rand(3, 64, 48), torch.rand(3, 40, 64)])[0])
    queries = DETECTORS[name].queries
    assert not queries or model.max_detections == queries


@pytest.mark.parametrize(("detections", "regions"), [(100, 1000), (2000, 4000)])
def test_regions_of_crowded_images_do_not_take_ten_times_the_memory_of_their_detections(
    detections: int, regions: int
) -> None:
    model: Any = build("fasterrcnn_resnet50_fpn_v2", 2, 64, max_detections=detections).eval()
    assert model.rpn.post_nms_top_n() == regions


@pytest.mark.parametrize("name", ["fcos_tiny", "retinanet_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2"])
def test_detectors_return_as_many_objects_as_they_are_built_for(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, LABELS, 256, max_detections=150).eval()
    for module in model.modules():  # accept all boxes
        for threshold in ("score_thresh", "nms_thresh"):
            if hasattr(module, threshold):
                setattr(module, threshold, float(threshold == "nms_thresh"))
    (found,) = model([torch.rand(3, 256, 256)])
    assert len(found["scores"]) == 150
