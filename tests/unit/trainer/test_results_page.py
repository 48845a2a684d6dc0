"""docs/results.md: its examples run, and its tables match the files."""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.annotated_images import image_with_shapes
from tests.support.tiny_detrs import randomized, tiny_detr, tiny_detrs
from tests.support.training_results import detection_result
from vott_trainer import report
from vott_trainer.learning import weights
from vott_trainer.plugin_api import Prediction
from vott_trainer.plugins.classification import Classification
from vott_trainer.plugins.detection import Detection
from vott_trainer.report import page
from vott_trainer.stores import model_archive
from vott_trainer.vision import classifiers, detectors
from vott_trainer.vision.detector_samples import load_pixels
from vott_trainer.vision.onnx_export import export_classifier, export_detector
from vott_trainer.vision.onnx_metadata import add_metadata

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
DETECTOR, CLASSIFIER, PYTORCH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
IN_DOCKER, IN_CLONE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LABELS = ["circle", "square", "triangle"]
THRESHOLDS = {"circle": 0.9, "square": 0.45, "triangle": 0.6}


def run(example: str) -> list[str]:
    """Run an example in the current folder; return the printed lines."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(example, "docs/results.md", "exec"), {})
    return printed.getvalue().splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with a photo."""
    content, _ = image_with_shapes(1)
    with Image.open(io.BytesIO(content)) as image:
        image.resize((320, 240)).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def detector(folder: Path) -> Path:
    """Files of an untrained, confident detector."""
    torch.manual_seed(3)
    model = detectors.build("fcos_tiny", len(LABELS), 96)
    torch.nn.init.normal_(model.get_parameter("head.classification_head.cls_logits.bias"), std=4)
    torch.nn.init.constant_(model.get_parameter("head.regression_head.bbox_reg.bias"), 2.0)
    weights.save(model, folder, "fcos_tiny", LABELS)
    onnx = export_detector(model, [torch.zeros(3, 72, 96, dtype=torch.uint8)], folder, LABELS)
    add_metadata(folder / "model.onnx", thresholds=THRESHOLDS)
    config = {"plugin": "detection", "architecture": "fcos_tiny", "imageSize": 96, "labels": LABELS, "onnx": onnx}
    config["thresholds"] = THRESHOLDS
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def square_detector(folder: Path) -> Iterator[Path]:
    """Files of an untrained detector that takes squares."""
    with tiny_detrs():
        model = randomized(tiny_detr("rf_detr_nano", len(LABELS)))
        weights.save(model, folder, "rf_detr_nano", LABELS)
        photo, _ = load_pixels(folder / "photo.jpg", 288, square=True)
        onnx = export_detector(model.eval(), [photo], folder, LABELS, square=True)
        thresholds = dict.fromkeys(LABELS, 0.0)
        add_metadata(folder / "model.onnx", thresholds=thresholds)
        config = {
            "plugin": "detection",
            "architecture": "rf_detr_nano",
            "imageSize": 288,
            "labels": LABELS,
            "onnx": onnx,
        }
        (folder / "config.json").write_text(json.dumps(config | {"thresholds": thresholds}))
        yield folder


@pytest.fixture
def classifier(folder: Path) -> Path:
    """Files of an untrained classifier."""
    torch.manual_seed(3)
    model = classifiers.build("resnet_tiny", len(LABELS))
    weights.save(model, folder, "resnet_tiny", LABELS)
    onnx = export_classifier(model, torch.rand(1, 3, 64, 64), folder, LABELS)
    config = {
        "plugin": "classification",
        "architecture": "resnet_tiny",
        "imageSize": 64,
        "labels": LABELS,
        "onnx": onnx,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_detector_s_onnx_example_prints_what_predict_returns(detector: Path) -> None:
    expected = above_threshold(Detection().predict(detector, detector / "photo.jpg"))
    assert expected
    printed = run(DETECTOR)
    assert len(printed) == len(expected)
    assert all(matches(line, prediction) for line, prediction in zip(printed, expected, strict=True))


def test_example_stretches_a_photo_for_a_detector_that_takes_squares(square_detector: Path) -> None:
    expected = Detection().predict(square_detector, square_detector / "photo.jpg")
    printed = run(DETECTOR)
    assert len(printed) == len(expected) == 300
    assert all(any(matches(line, prediction) for prediction in expected) for line in printed)


def matches(line: str, prediction: Prediction) -> bool:
    """Whether a printed line says what is predicted."""
    label, score, position = line.split("\t")
    box = prediction.box
    assert box
    numbers = [float(number) for number in re.findall(r"-?\d+", position)]
    return (
        label == prediction.label
        and float(score) == pytest.approx(prediction.score, abs=0.002)
        and numbers == pytest.approx([box.x, box.y, box.width, box.height], abs=1)
    )


def test_classifier_s_onnx_example_prints_what_predict_returns(classifier: Path) -> None:
    expected = Classification().predict(classifier, classifier / "photo.jpg")
    assert run(CLASSIFIER) == [f"{prediction.label}\t{prediction.score:.3f}" for prediction in expected]


def test_pytorch_example_runs(detector: Path) -> None:
    assert len(run(PYTORCH)) == len(above_threshold(Detection().predict(detector, detector / "photo.jpg"))) > 0


def test_command_in_a_clone_draws_what_predict_returns(detector: Path) -> None:
    model_archive.pack(detector, detector.parent / "model.tgz")
    (detector.parent / "model.tgz").rename(detector / "model.tgz")
    for name in ("trainer-image", "guard"):
        (detector / name).symlink_to(ROOT / name)
    command = IN_CLONE.replace(".venv/bin/python", shlex.quote(sys.executable))
    ran = subprocess.run(["bash", "-c", command], cwd=detector, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (
        len(ran.stdout.splitlines()) == len(above_threshold(Detection().predict(detector, detector / "photo.jpg"))) > 0
    )
    with Image.open(detector / "predicted.jpg") as drawn:
        assert drawn.size == (320, 240)


def test_both_commands_have_the_same_arguments() -> None:
    assert IN_DOCKER.partition(" predict ")[2] == IN_CLONE.partition(" predict ")[2]
    assert '--user "$(id -u):$(id -g)"' in IN_DOCKER  # the image's user may not write into this folder


def above_threshold(predictions: list[Prediction]) -> list[Prediction]:
    """Return the predictions that are shown by default."""
    return [prediction for prediction in predictions if prediction.score >= THRESHOLDS[prediction.label]]


def test_page_lists_the_files_that_the_report_lists() -> None:
    named = set(
        re.findall(r"^\| `([\w./]+?)/?` \|", PAGE.partition("\n\n| file |")[2].partition("\n\n")[0], re.MULTILINE)
    )
    assert named == set(page.FILES)


def test_page_lists_every_key_of_the_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    report.write(tmp_path / "model", detection_result(tmp_path))
    written = set(json.loads((tmp_path / "model" / "metrics.json").read_text()))
    named = set(
        re.findall(
            r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.partition("## metrics.json")[2], re.MULTILINE))
        )
    )
    assert written <= named
    assert named - written == {"processes"}  # learners only
