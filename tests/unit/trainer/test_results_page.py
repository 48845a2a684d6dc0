"""docs/results.md says what comes back, and its examples do what they say."""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.annotated_images import image_with_shapes
from tests.support.training_results import detection_result
from vott_trainer import report
from vott_trainer.learning import weights
from vott_trainer.plugin_api import Prediction
from vott_trainer.plugin_api.evaluation import LOWEST_SCORE_SHOWN
from vott_trainer.plugins.classification import Classification
from vott_trainer.plugins.detection import Detection
from vott_trainer.report import page
from vott_trainer.stores import model_archive
from vott_trainer.vision import classifiers, detectors
from vott_trainer.vision.onnx_export import export_classifier, export_detector

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
DETECTOR, CLASSIFIER, PYTORCH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
IN_DOCKER, IN_CHECKOUT = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LABELS = ["circle", "square", "triangle"]


def run(example: str) -> list[str]:
    """Run an example of the page in the current folder; return the lines that it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(example, "docs/results.md", "exec"), {})
    return printed.getvalue().splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo in it."""
    content, _ = image_with_shapes(1)
    with Image.open(io.BytesIO(content)) as image:
        image.resize((320, 240)).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def detector(folder: Path) -> Path:
    """A detector's files; it has learned nothing, and is sure of itself."""
    torch.manual_seed(3)
    model = detectors.build("fcos_tiny", len(LABELS), 96)
    torch.nn.init.normal_(model.get_parameter("head.classification_head.cls_logits.bias"), std=4)
    torch.nn.init.constant_(model.get_parameter("head.regression_head.bbox_reg.bias"), 2.0)
    weights.save(model, folder, "fcos_tiny", LABELS)
    told = export_detector(model, [torch.zeros(3, 72, 96, dtype=torch.uint8)], folder, LABELS)
    config = {"plugin": "detection", "architecture": "fcos_tiny", "imageSize": 96, "labels": LABELS, "onnx": told}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def classifier(folder: Path) -> Path:
    """A classifier's files; it has learned nothing."""
    torch.manual_seed(3)
    model = classifiers.build("resnet_tiny", len(LABELS))
    weights.save(model, folder, "resnet_tiny", LABELS)
    told = export_classifier(model, torch.rand(1, 3, 64, 64), folder, LABELS)
    config = {
        "plugin": "classification",
        "architecture": "resnet_tiny",
        "imageSize": 64,
        "labels": LABELS,
        "onnx": told,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_detector_s_onnx_example_sees_what_predict_sees(detector: Path) -> None:
    expected = sure(Detection().predict(detector, detector / "photo.jpg"))
    assert expected
    printed = run(DETECTOR)
    assert len(printed) == len(expected)
    for line, seen in zip(printed, expected, strict=True):
        label, score, place = line.split("\t")
        assert label == seen.label
        assert float(score) == pytest.approx(seen.score, abs=0.002)
        assert seen.box
        numbers = [float(number) for number in re.findall(r"-?\d+", place)]
        assert numbers == pytest.approx([seen.box.x, seen.box.y, seen.box.width, seen.box.height], abs=1)


def test_classifier_s_onnx_example_sees_what_predict_sees(classifier: Path) -> None:
    expected = Classification().predict(classifier, classifier / "photo.jpg")
    assert run(CLASSIFIER) == [f"{seen.label}\t{seen.score:.3f}" for seen in expected]


def test_pytorch_example_runs(detector: Path) -> None:
    assert len(run(PYTORCH)) == len(sure(Detection().predict(detector, detector / "photo.jpg"))) > 0


def test_the_command_of_a_checkout_draws_what_predict_sees(detector: Path) -> None:
    model_archive.pack(detector, detector.parent / "model.tgz")
    (detector.parent / "model.tgz").rename(detector / "model.tgz")
    for name in ("trainer-image", "guard"):
        (detector / name).symlink_to(ROOT / name)
    command = IN_CHECKOUT.replace(".venv/bin/python", shlex.quote(sys.executable))
    ran = subprocess.run(["bash", "-c", command], cwd=detector, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == len(sure(Detection().predict(detector, detector / "photo.jpg"))) > 0
    with Image.open(detector / "predicted.jpg") as drawn:
        assert drawn.size == (320, 240)


def test_both_commands_ask_for_the_same() -> None:
    assert IN_DOCKER.partition(" predict ")[2] == IN_CHECKOUT.partition(" predict ")[2]
    assert '--user "$(id -u):$(id -g)"' in IN_DOCKER  # the image's own user may not write into a person's folder


def sure(found: list[Prediction]) -> list[Prediction]:
    """Those that people are shown."""
    return [prediction for prediction in found if prediction.score >= LOWEST_SCORE_SHOWN]


def test_every_file_of_a_model_is_on_the_page_and_in_the_report() -> None:
    named = set(
        re.findall(r"^\| `([\w./]+?)/?` \|", PAGE.partition("\n\n| file |")[2].partition("\n\n")[0], re.MULTILINE)
    )
    assert named == set(page.FILES)


def test_every_key_of_the_metrics_file_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    report.write(tmp_path / "model", detection_result(tmp_path))
    written = set(json.loads((tmp_path / "model" / "metrics.json").read_text()))
    named = set(
        re.findall(
            r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.partition("## metrics.json")[2], re.MULTILINE))
        )
    )
    assert written <= named
    assert named - written == {"processes"}  # only what learns has it
