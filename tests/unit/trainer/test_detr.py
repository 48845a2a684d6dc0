"""RF-DETR and D-FINE: losses, detections, class transfer and ONNX, with tiny networks of the same classes."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.nn import functional
from torchvision.ops import FrozenBatchNorm2d

from tests.support.tiny_detrs import NAMES, randomized, tiny_detr
from vott_trainer.annotations import Box
from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import initial_weights, weights
from vott_trainer.plugin_api import LabelledImage, SummedLosses
from vott_trainer.vision.detector_evaluation import detect, predictions
from vott_trainer.vision.detector_samples import load_sample
from vott_trainer.vision.detectors import DETECTORS, build
from vott_trainer.vision.detr import Detr, nearest_side
from vott_trainer.vision.onnx_check import TOLERANCE
from vott_trainer.vision.onnx_export import export_detector

LABELS = 2
Target = dict[str, Tensor]

every_detr = pytest.mark.parametrize("name", NAMES)


def target(*boxes: tuple[float, float, float, float]) -> Target:
    """Objects of class 1, 2, 1 and so on."""
    labels = torch.tensor([number % LABELS + 1 for number in range(len(boxes))], dtype=torch.int64)
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": labels}


def images(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, 96, 96, generator=generator) for _ in range(count)]


TARGETS = [target((8, 8, 40, 40), (50, 20, 90, 60), (10, 50, 30, 90)), target((5, 5, 90, 90))]


def losses(model: nn.Module, targets: list[Target], seed: int = 2) -> SummedLosses:
    torch.manual_seed(seed)
    summed: SummedLosses = model.train()(images(len(targets)), targets)
    return summed


def total(summed: SummedLosses) -> Tensor:
    return torch.stack(list(summed.terms.values())).sum() / summed.weight.clamp(min=1)


@every_detr
def test_step_along_the_gradient_lowers_the_loss(name: str) -> None:
    """test_detr_training.py has whole trainings."""
    model = tiny_detr(name, LABELS)
    before = total(losses(model, TARGETS))
    before.backward()  # type: ignore[no-untyped-call]
    weights_and_gradients = [(weight, weight.grad) for weight in model.parameters() if weight.grad is not None]
    norm = sum(float((gradient**2).sum()) for _, gradient in weights_and_gradients)
    with torch.no_grad():
        for weight, gradient in weights_and_gradients:
            weight.sub_(0.02 * before / norm * gradient)
        assert total(losses(model, TARGETS)) < 0.995 * before


@every_detr
@pytest.mark.parametrize("targets", [TARGETS, [target()] * 2], ids=["objects", "no objects"])
def test_every_parameter_gets_a_finite_gradient_as_several_processes_expect(name: str, targets: list[Target]) -> None:
    model = tiny_detr(name, LABELS)
    total(losses(model, targets)).backward()  # type: ignore[no-untyped-call]
    trained = {one: parameter.grad for one, parameter in model.named_parameters() if parameter.requires_grad}
    assert [one for one, gradient in trained.items() if gradient is None or not gradient.isfinite().all()] == []


def test_rf_detr_has_the_losses_of_transformers() -> None:
    from transformers.loss.loss_lw_detr import LwDetrForObjectDetectionLoss

    model = randomized(tiny_detr("rf_detr_nano", LABELS))
    summed = losses(model, TARGETS)
    assert float(summed.weight) == 4 * model.network.config.group_detr
    model.network.loss_function = LwDetrForObjectDetectionLoss
    centres = [{"class_labels": one["labels"] - 1, "boxes": Tensor(_centres(one["boxes"]) / 96)} for one in TARGETS]
    torch.manual_seed(2)
    expected = model.network(_normalized(model, images()), labels=centres)
    assert total(summed).item() == pytest.approx(expected.loss.item(), rel=1e-5)
    class_losses = [loss for one, loss in expected.loss_dict.items() if one.startswith("loss_ce")]
    classification = summed.terms["classification"] / summed.weight
    assert classification.item() == pytest.approx(torch.stack(class_losses).sum().item(), rel=1e-5)


def _centres(boxes: Tensor) -> Tensor:
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), dim=1)


def _normalized(model: Detr, images: list[Tensor]) -> Tensor:
    squares = functional.interpolate(torch.stack(images), (model.side, model.side), mode="bilinear", antialias=True)
    return Tensor((squares - model.mean) / model.std)


def without_noise(name: str) -> Any:
    """A network that computes the same for an image, whatever else is in the batch."""
    if name == "rf_detr_nano":
        return tiny_detr(name, LABELS, dropout=0.0)
    model = tiny_detr(name, LABELS, pretrained=True, weight_loss_ddf=0.0)
    model.noisy_queries = 0
    return model


@every_detr
def test_losses_of_a_batch_are_the_sums_of_its_parts(name: str) -> None:
    """As SummedLosses promises; D-FINE but for its self-distillation, a mean over queries, and its noisy queries."""
    model = without_noise(name)
    whole = losses(model, TARGETS)
    torch.manual_seed(2)
    parts = [model([image], [one]) for image, one in zip(images(), TARGETS, strict=True)]
    assert whole.weight == parts[0].weight + parts[1].weight
    for term, loss in whole.terms.items():
        assert (parts[0].terms[term] + parts[1].terms[term]).item() == pytest.approx(loss.item(), rel=1e-3)


@every_detr
def test_images_in_one_tensor_are_those_of_a_list(name: str) -> None:
    model = without_noise(name)
    for side in (96, model.side):
        images = torch.rand(2, 3, side, side)
        torch.manual_seed(2)
        one = model(images, TARGETS)
        torch.manual_seed(2)
        assert total(one).item() == pytest.approx(total(model(list(images), TARGETS)).item(), rel=1e-4)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    store = FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@every_detr
@pytest.mark.usefixtures("process_group")
def test_losses_do_not_communicate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process looks by itself for the number of parts that fits its memory; those of `transformers` would wait for the others."""
    from transformers.loss.loss_lw_detr import LwDetrForObjectDetectionLoss

    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("all_reduce")

    monkeypatch.setattr(distributed, "all_reduce", refuse)
    model = tiny_detr(name, LABELS)
    assert total(losses(model, TARGETS)).isfinite()
    if name == "rf_detr_nano":
        model.network.loss_function = LwDetrForObjectDetectionLoss
        with pytest.raises(AssertionError, match="all_reduce"):
            losses(model, TARGETS)


@every_detr
def test_losses_are_float32_under_autocast(name: str) -> None:
    model = tiny_detr(name, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        summed = losses(model, TARGETS)
    assert {loss.dtype for loss in summed.terms.values()} == {torch.float32}


CROWD = target(*((x, y, x + 3.0, y + 3.0) for x in range(0, 90, 4) for y in range(0, 90, 4)))


@every_detr
def test_more_objects_than_queries_are_accepted(name: str) -> None:
    model = tiny_detr(name, LABELS)
    assert len(CROWD["boxes"]) > model.max_detections
    assert total(losses(model, [CROWD, TARGETS[0]])).isfinite()


@pytest.mark.parametrize(("crowded", "queries"), [(False, 300 + 2 * 3 * 33), (True, 300)])
def test_crowded_batch_has_no_noisy_queries_whose_attention_would_fill_the_memory(crowded: bool, queries: int) -> None:
    """Else 2 for each object, in as many groups as make 100 of each kind."""
    model, seen = tiny_detr("d_fine_nano", LABELS), list[int]()
    scores = model.network.model.decoder.class_embed[0]
    scores.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[1]))
    losses(model, [TARGETS[0], CROWD if crowded else TARGETS[1]])
    assert seen == [queries]


class Echo(nn.Module):
    """Predicts the targets of its last training step, one query for each."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"num_queries": 250})

    def forward(self, pixels: Tensor, labels: list[Target] | None = None) -> Any:
        if labels:
            self.targets, self.pixels = labels, pixels
            _, terms, _ = self.loss_function(pixels)  # type: ignore[operator]
            return type("Output", (), {"loss_dict": terms})
        logits = [functional.one_hot(image["class_labels"], LABELS) * 8.0 - 4.0 for image in self.targets]
        boxes = torch.stack([image["boxes"] for image in self.targets])
        return type("Output", (), {"logits": torch.stack(logits), "pred_boxes": boxes})


def echo(**options: Any) -> Detr:
    return Detr(Echo(), lambda pixels: SummedLosses({"boxes": pixels.sum()}, pixels.new_ones(())), 288, **options)


def test_boxes_are_converted_from_pixels_of_any_image_to_fractions_and_back() -> None:
    model = echo()
    shapes = [torch.rand(3, 64, 96), torch.rand(3, 96, 80), torch.rand(3, 288, 288)]
    truths = [
        target((8, 8, 40, 40), (50, 20, 90, 60)),
        target((0, 0, 80, 96), (10, 20, 30, 90)),
        target((0, 1, 2, 3), (4, 5, 6, 7)),
    ]
    model.train()(shapes, truths)
    assert model.network.targets[0]["boxes"][0].tolist() == pytest.approx([0.25, 0.375, 1 / 3, 0.5])
    for found, truth in zip(model.eval()(shapes), truths, strict=True):
        for label in (1, 2):
            best = found["boxes"][(found["labels"] == label).nonzero()[0, 0]]
            assert best.tolist() == pytest.approx(truth["boxes"][truth["labels"] == label][0].tolist(), abs=1e-3)


def test_square_of_the_networks_size_is_not_resized_but_normalized() -> None:
    model, image = echo(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.5)), torch.rand(3, 288, 288)
    model.train()([image], [target((8, 8, 40, 40))])
    assert torch.equal(model.network.pixels[0], (image - 0.5) / torch.tensor([0.25, 0.25, 0.5]).view(3, 1, 1))


def test_as_many_objects_as_there_are_queries_are_detected() -> None:
    boxes = [(float(x), float(y), x + 6.0, y + 6.0) for x in range(0, 250, 10) for y in range(0, 100, 10)]
    model, image = echo(), torch.rand(3, 288, 288)
    model.train()([image], [target(*boxes)])
    (found,) = model.eval()([image])
    sure = found["scores"] > 0.9
    assert int(sure.sum()) == len(boxes) == model.max_detections == 250
    assert sorted(found["boxes"][sure].round().tolist()) == sorted(list(box) for box in boxes)


def test_boxes_of_a_wide_photo_are_predicted_in_its_own_pixels(tmp_path: Path) -> None:
    Image.new("RGB", (1920, 1080)).save(path := tmp_path / "a.jpg")
    box = Box(200, 300, 960, 540, "a")
    sample = load_sample(LabelledImage("https://store/a.jpg", path, [box]), ["a", "b"], 288, square=True)
    model = echo()
    model.train()([sample.pixels.float() / 255], [{"boxes": sample.boxes, "labels": sample.labels}])
    best, *_ = predictions(detect(model, sample.pixels, torch.device("cpu")), ["a", "b"], sample.scale)
    assert best.box
    assert best.label == "a"
    assert [best.box.x, best.box.y] == pytest.approx([200, 300], abs=0.01)
    assert [best.box.width, best.box.height] == pytest.approx([960, 540], abs=0.01)


@pytest.mark.parametrize(("image_size", "side"), [(64, 288), (384, 384), (500, 512), (800, 800)])
def test_side_is_a_multiple_of_the_step_near_the_image_size(image_size: int, side: int) -> None:
    assert nearest_side(image_size, 32, 288) == side


@every_detr
def test_class_keeps_what_was_learned_under_its_name(name: str, tmp_path: Path) -> None:
    model = randomized(tiny_detr(name, 3))
    weights.save(model, tmp_path, name, ["cat", "dog", "fox"])
    source, target_model = model.state_dict(), randomized(tiny_detr(name, 2))
    fresh = {key: tensor.clone() for key, tensor in target_model.state_dict().items()}
    found = initial_weights.Weights(partial(load_file, tmp_path / "model.safetensors"), "", name, ["cat", "dog", "fox"])
    initial_weights.initialize(target_model, found, ["fox", "owl"], DETECTORS[name].heads)
    for key, tensor in target_model.state_dict().items():
        head = next((head for head in DETECTORS[name].heads if key.startswith(head.prefix)), None)
        if head is None:
            assert torch.equal(tensor, source[key])
        else:
            assert torch.equal(tensor[0], source[key][2])  # fox
            assert torch.equal(tensor[1], fresh[key][1])  # owl
            assert torch.equal(tensor[2:], source[key][3:])  # no class: D-FINE's embedding of an empty query


@every_detr
def test_saved_model_gives_the_same_output(name: str, tmp_path: Path) -> None:
    model = randomized(tiny_detr(name, LABELS))
    losses(model, TARGETS)  # changes running means
    weights.save(model, tmp_path, name, ["a", "b"])
    loaded = weights.load(randomized(tiny_detr(name, LABELS)), tmp_path)
    for one, other in zip(model.eval()(images()), loaded(images()), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("boxes", "labels", "scores"))


@every_detr
def test_onnx_takes_a_square_and_detects_what_pytorch_does(name: str, tmp_path: Path) -> None:
    model = randomized(tiny_detr(name, LABELS)).eval()
    squares = [(image * 255).to(torch.uint8) for image in images()]
    result = export_detector(model, squares, tmp_path, ["a", "b"], square=True)
    assert result["inputs"] == {"image": [3, 96, 96]}
    assert result["difference"] <= TOLERANCE
    assert result["compared"] > 0
    image = images(3)[2]
    _boxes, scores, _labels = InferenceSession(tmp_path / "model.onnx").run(None, {"image": image.numpy()})
    with torch.inference_mode():
        (expected,) = model([image])
    assert len(scores) == len(expected["scores"]) == 300
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-3)


def test_batch_statistics_are_frozen_with_trained_weights_only() -> None:
    frozen, trained = (tiny_detr("d_fine_nano", LABELS, pretrained=pretrained) for pretrained in (True, False))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert any(isinstance(module, FrozenBatchNorm2d) for module in frozen.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in trained.modules())
    weights_of_both = trained.state_dict().keys() ^ frozen.state_dict().keys()
    assert all(one.endswith("num_batches_tracked") for one in weights_of_both)


@pytest.mark.parametrize("name", ["rf_detr_small", "d_fine_small"])
def test_missing_package_is_an_error_that_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(InvalidParametersError, match=r"scipy.*pip install 'vott-trainer\[detr\]'"):
        build(name, LABELS, 384)
