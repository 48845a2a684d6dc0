"""Segmentation: trainings on small images with outlines, their models, and Mask R-CNN, which starts from no weights here.

The objects fill little of their boxes: masks that are only boxes would overlap them too little to count.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator

from tests.support.http_server import HttpServer
from tests.support.outlined_images import LABELS, image_with_outlines, serve_outlined
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import learn
from vott_trainer.plugin_api import Links, Trained
from vott_trainer.plugins.segmentation import Segmentation, SegmentationParameters, load
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision import matching
from vott_trainer.vision.architectures import Architecture
from vott_trainer.vision.onnx_export import export_detector
from vott_trainer.vision.segmenters import SEGMENTERS, with_flat_masks
from vott_trainer.vision.tiny_backbone import TinyBackbone

QUICK = {"epochs": 14, "imageSize": 128, "batchSize": 8}
SHORT = {"epochs": 2, "imageSize": 64, "batchSize": 4, "earlyStopping": 0}

Training = tuple[Trained, TrainingRun]


def run_of(annotations: str, folder: Path, parameters: Mapping[str, Any], store: Path | None = None) -> TrainingRun:
    values = SegmentationParameters.model_validate(parameters)
    return TrainingRun(
        Links(annotations, "http://host/model", None),
        folder,
        Progress(),
        parameters=values,
        checkpoints=lambda: Checkpoints(FolderStore(store), folder / "checkpoints", 3600) if store else None,
        interruption=Interruption(leave=lambda _code: None),
    )


def train(run: TrainingRun, parameters: Mapping[str, Any], plugin: Segmentation | None = None) -> Trained:
    return learn(plugin or Segmentation(), run, SegmentationParameters.model_validate(parameters))


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """One training that several tests look at."""
    with HttpServer() as server:
        run = run_of(serve_outlined(server, 48), tmp_path_factory.mktemp("work"), QUICK)
        trained = train(run, QUICK)
    (run.model_dir / "config.json").write_text(json.dumps(trained.config), encoding="utf-8")
    return trained, run


def test_training_lowers_all_losses_and_finds_the_outlines(training: Training) -> None:
    trained, _ = training
    assert trained.history[-1]["loss"] < trained.history[0]["loss"] / 2
    assert trained.metrics["mAP50"] > 0.9
    assert trained.metrics["boxMAP50"] > 0.7
    assert list(trained.metrics) == ["mAP50", "mAP", "boxMAP50", "boxMAP"]
    assert trained.evaluation
    assert all(one.box and one.box.outline for example in trained.evaluation.examples for one in example.predictions)


def test_predicted_outlines_lie_on_the_objects_of_images_never_seen(training: Training, tmp_path: Path) -> None:
    _, run = training
    overlaps = []
    for seed in range(1000, 1010):
        content, boxes = image_with_outlines(seed)
        (tmp_path / "a.png").write_bytes(content)
        found = [one.box for one in Segmentation().predict(run.model_dir, tmp_path / "a.png") if one.box]
        overlaps += [
            max((matching.iou(box, one) for one in found if one.label == box.label), default=0.0) for box in boxes
        ]
    assert np.mean(overlaps) > 0.7
    assert np.mean(np.array(overlaps) > 0.5) > 0.85


def test_onnx_model_returns_the_masks_of_pytorch(training: Training) -> None:
    trained, run = training
    exported = trained.config["onnx"]
    assert exported["outputs"] == ["boxes", "scores", "labels", "masks"]
    assert exported["compared"] > 0
    assert exported["inputs"] == {"image": [3, "height", "width"]}
    model, config = load(run.model_dir)
    assert config["labels"] == sorted(LABELS)
    image = torch.rand(3, 72, 104)
    session = InferenceSession(run.model_dir / "model.onnx")
    *_, masks = session.run(["boxes", "scores", "labels", "masks"], {"image": image.numpy()})
    with torch.inference_mode():
        expected = model([image])[0]["masks"]
    assert masks.shape == expected.shape
    assert np.abs(masks - expected.numpy()).mean() < 1e-3


class StopsAt(Segmentation):
    """Asks for an end in the loss of step number `step`, counted from 1; has the name of its base, a part of the work's fingerprint."""

    __qualname__, __module__ = Segmentation.__qualname__, Segmentation.__module__

    def __init__(self, step: int, run: TrainingRun) -> None:
        super().__init__()
        self._left, self._run = step, run

    def loss(self, model: nn.Module, batch: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._run.interruption.request()
        return super().loss(model, batch)


def test_resumed_training_gives_the_same_model(server: HttpServer, tmp_path: Path) -> None:
    annotations = serve_outlined(server, 12)
    whole = run_of(annotations, tmp_path / "whole", SHORT)
    train(whole, SHORT)
    first = run_of(annotations, tmp_path / "first", SHORT, tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        train(first, SHORT, StopsAt(4, first))
    second = run_of(annotations, tmp_path / "second", SHORT, tmp_path / "store")
    train(second, SHORT)
    assert any("resumed from epoch 2" in note for note in second.notes)
    one, other = ((run.model_dir / "model.safetensors").read_bytes() for run in (whole, second))
    assert one == other


def tiny_mask_rcnn(num_classes: int, image_size: int, max_detections: int = 100, **options: Any) -> nn.Module:
    """Mask R-CNN of torchvision, as small as possible."""
    anchors = AnchorGenerator(sizes=((16,), (32,), (64,)), aspect_ratios=((1.0,),) * 3)
    options |= {"min_size": image_size, "max_size": image_size, "box_detections_per_img": max_detections}
    sampled = {"rpn_batch_size_per_image": 32, "box_batch_size_per_image": 32}
    model = MaskRCNN(TinyBackbone(16), num_classes, rpn_anchor_generator=anchors, **sampled, **options)
    return with_flat_masks(model)


def test_mask_r_cnn_trains_and_is_exported(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights and another backbone: tests have no published weights."""
    name = "maskrcnn_resnet50_fpn_v2"
    tiny = Architecture(tiny_mask_rcnn, 96, 4, 1e-3, 8, 1, SEGMENTERS[name].heads, is_large=False, mask_stride=1)
    monkeypatch.setitem(SEGMENTERS, name, tiny)
    parameters = SHORT | {"architecture": name, "epochs": 3}
    run = run_of(serve_outlined(server, 12), tmp_path, parameters)
    trained = train(run, parameters)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert "mAP50" in trained.metrics


def test_mask_r_cnn_of_torchvision_is_exported_with_flat_masks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny_mask_rcnn(4, 64, box_score_thresh=0.0).eval()
    exported = export_detector(
        model, [torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8)], tmp_path, LABELS, masks=True
    )
    assert exported["file"], exported["why"]
    shapes = {one.name: len(one.type.tensor_type.shape.dim) for one in onnx.load(tmp_path / "model.onnx").graph.output}
    assert shapes == {"boxes": 2, "scores": 1, "labels": 1, "masks": 3}
