"""The detectors by name: all speak one convention, and learn."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import initial_weights, weights
from vott_trainer.plugin_api import Links
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.detectors import DETECTORS, DetectorName, build
from vott_trainer.vision.rf_detr import Detr, rf_detr

LABELS = 2
TINY = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "out_features": ["stage1", "stage4"]}


def detector(name: str) -> nn.Module:
    """The detector of that name, as small as possible."""
    torch.manual_seed(0)
    if name == "rf_detr_nano":
        return tiny_detr(LABELS)
    return build(name, LABELS, 96)


def tiny_detr(labels: int) -> Detr:
    return rf_detr(
        labels + 1, 96, layers=2, native_size=384, backbone=TINY, d_model=32, decoder_ffn_dim=64, group_detr=2
    )


def images() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, 64, 96), torch.rand(3, 96, 80)]


def targets() -> list[dict[str, Tensor]]:
    """Two objects on the first image, nothing on the second."""
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 90.0, 60.0]])
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return [{"boxes": boxes, "labels": torch.tensor([1, 2])}, nothing]


def total(model: nn.Module) -> Tensor:
    torch.manual_seed(2)
    losses: dict[str, Tensor] = model(images(), targets())
    return torch.stack(list(losses.values())).sum()


SOME = ["fcos_tiny", "rf_detr_nano"]


def test_the_names_that_a_message_may_use_are_those_that_there_are() -> None:
    assert set(get_args(DetectorName)) == set(DETECTORS)


@pytest.mark.parametrize("name", SOME)
def test_a_step_lowers_the_loss(name: str) -> None:
    model = detector(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    before = total(model)
    assert torch.isfinite(before)
    for _ in range(3):
        optimizer.zero_grad()
        total(model).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert total(model) < before


@pytest.mark.parametrize("name", SOME)
def test_every_parameter_takes_part_as_several_gpus_need_it(name: str) -> None:
    model = detector(name).train()
    total(model).backward()  # type: ignore[no-untyped-call]
    assert [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None] == []


@pytest.mark.parametrize("name", SOME)
def test_detections_lie_in_their_image_and_have_known_labels(name: str) -> None:
    model = detector(name).eval()
    for image, found in zip(images(), model(images()), strict=True):
        height, width = image.shape[1:]
        assert found["boxes"].shape == (len(found["scores"]), 4)
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert set(found["labels"].tolist()) <= {0, 1, 2}  # 0 is torchvision's background
        assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)


@pytest.mark.parametrize("name", SOME)
def test_a_saved_model_gives_the_same_output(name: str, tmp_path: Path) -> None:
    model = detector(name)
    total(model.train())  # moves running means
    weights.save(model, tmp_path, name, ["a", "b"])
    torch.manual_seed(3)
    again = weights.load(tiny_detr(LABELS) if name == "rf_detr_nano" else build(name, LABELS, 96), tmp_path)
    for one, other in zip(model.eval()(images()), again(images()), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("boxes", "labels", "scores"))


class Echo(nn.Module):
    """A network that sees what it was told last."""

    config = SimpleNamespace(class_loss_coefficient=2.0)
    loss_function = staticmethod(len)

    def forward(self, pixels: Tensor, labels: list[dict[str, Tensor]] | None = None) -> SimpleNamespace:
        if labels:
            self.told = labels
            zero = pixels.sum() * 0
            parts = {"loss_ce": zero + 1, "loss_ce_0": zero + 2, "loss_bbox": zero + 4, "cardinality_error": zero + 8}
            return SimpleNamespace(loss=zero + 20, loss_dict=parts)
        logits = [functional.one_hot(image["class_labels"], LABELS) * 8.0 - 4.0 for image in self.told]
        return SimpleNamespace(logits=torch.stack(logits), pred_boxes=torch.stack([i["boxes"] for i in self.told]))


def test_boxes_go_there_and_back_between_pixels_and_shares_of_a_squeezed_image() -> None:
    model = Detr(Echo(), 288)
    told = [targets()[0], {"boxes": torch.tensor([[0.0, 0, 80, 96], [10, 20, 30, 90]]), "labels": torch.tensor([2, 1])}]
    losses = model.train()(images(), told)
    assert {name: loss.item() for name, loss in losses.items()} == {"classification": 6.0, "boxes": 14.0}
    for found, truth in zip(model.eval()(images()), told, strict=True):
        for label in (1, 2):
            best = found["boxes"][(found["labels"] == label).nonzero()[0, 0]]
            assert best.tolist() == pytest.approx(truth["boxes"][(truth["labels"] == label)][0].tolist(), abs=1e-3)


@pytest.mark.parametrize(("wanted", "side"), [(64, 288), (384, 384), (500, 512), (800, 800)])
def test_an_rf_detr_sees_squares_that_its_windows_divide(wanted: int, side: int) -> None:
    assert Detr(Echo(), wanted).side == side


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(InvalidParametersError, match=r"scipy.*pip install 'vott-trainer\[detr\]'"):
        build("rf_detr_nano", LABELS, 384)


def test_published_rf_detr_weights_fit_and_bring_cocos_classes(bake: ModuleType, tmp_path: Path) -> None:
    published = tiny_detr(91)
    published.network.save_pretrained(tmp_path / "published")
    digest = hashlib.sha256((tmp_path / "published/model.safetensors").read_bytes()).hexdigest()
    bake.bake_transformers("rf_detr_nano", str(tmp_path / "published"), digest, tmp_path)
    run = TrainingRun(Links("", "", None), tmp_path / "work", Progress())
    found = initial_weights.find(run, "baked", "rf_detr_nano", ["person", "gnome"], {"VOTT_WEIGHTS": str(tmp_path)})
    model = tiny_detr(2)
    initial_weights.initialize(model, found, ["person", "gnome"], DETECTORS["rf_detr_nano"].heads)
    given, taken = (one.state_dict()["network.class_embed.weight"] for one in (published, model))
    assert torch.equal(taken[0], given[1])  # person is COCO's number 1
    assert not any(torch.equal(taken[1], row) for row in given)


@pytest.mark.parametrize(
    ("digest", "said"), [("", "If you trust it, write rf_detr_nano@sha256:"), ("0" * 64, "not 000")]
)
def test_published_weights_are_taken_by_their_digest_only(
    digest: str, said: str, bake: ModuleType, tmp_path: Path
) -> None:
    tiny_detr(91).network.save_pretrained(tmp_path / "published")
    with pytest.raises(SystemExit, match=said):
        bake.bake_transformers("rf_detr_nano", str(tmp_path / "published"), digest, tmp_path)
    assert not (tmp_path / "rf_detr_nano.safetensors").exists()


def test_losses_are_precise_where_the_network_is_not() -> None:
    model = tiny_detr(LABELS).train()
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(2)
        losses = model(images(), targets())
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_statistics_of_many_images_are_kept() -> None:
    """As torchvision does it with FCOS: the same parameters, but no step changes the means."""
    model = build("fcos_resnet50_fpn", LABELS, 96, pretrained=True).train()
    means = {name: mean.clone() for name, mean in model.named_buffers() if name.endswith("running_mean")}
    assert len(means) == 53
    model(images(), targets())
    assert all(torch.equal(means[name], mean) for name, mean in model.named_buffers() if name in means)
    fresh = build("fcos_resnet50_fpn", LABELS, 96).state_dict()
    assert fresh.keys() - model.state_dict().keys() == {name for name in fresh if name.endswith("num_batches_tracked")}
    assert "num_batches_tracked" in str(build("fcos_tiny", LABELS, 96, pretrained=True).state_dict().keys())


@pytest.mark.parametrize(
    "name", ["fcos_tiny", "fcos_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2"]
)
def test_anchors_keep_their_place_where_the_rest_is_computed_in_bfloat16(name: str) -> None:
    model = build(name, labels=2, image_size=128)
    seen: list[torch.dtype] = []
    for path, module in model.named_modules():
        if path.endswith("anchor_generator"):
            module.register_forward_hook(lambda _module, _args, anchors: seen.extend(one.dtype for one in anchors))
    target = {"boxes": torch.tensor([[4.0, 4.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
    with torch.autocast("cpu", torch.bfloat16):
        losses = model([torch.rand(3, 128, 96)], [target])
    assert set(seen) == {torch.float32}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


@pytest.mark.parametrize("name", DETECTORS)
def test_every_architecture_is_built_without_a_download_and_learns_and_detects(name: str) -> None:
    model = build(name, labels=2, image_size=64)
    images = [torch.rand(3, 64, 48), torch.rand(3, 40, 64)]
    targets = [{"boxes": torch.tensor([[4.0, 4.0, 30.0, 30.0]]), "labels": torch.tensor([2])}] * 2
    losses = model(images, targets)
    assert any(name in losses for name in ("classification", "loss_classifier"))
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert {"boxes", "labels", "scores"} <= set(model.eval()(images)[0])
