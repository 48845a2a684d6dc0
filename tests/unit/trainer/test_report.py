"""The files that describe a model: report.html, metrics.json, model card, TensorBoard events and sample."""

import dataclasses
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from tests.support.trainer_process import PYTHONPATH
from tests.support.training_results import box, detection_result, measured
from vott_trainer import report
from vott_trainer.plugin_api import Confusion, Evaluation, Interval, Intervals, Prediction
from vott_trainer.report import Result, files
from vott_trainer.vision import matching

PATHS = {"PYTHONPATH": PYTHONPATH}
SCRIPT = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Parses a page: its elements, their references, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model's folder, with a plugin's file in it."""
    (folder := tmp_path / "model").mkdir()
    (folder / "labels.txt").write_text("circle\nsquare\ntriangle\n")
    return folder


def page(folder: Path, result: Result) -> Reader:
    report.write(folder, result)
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_report_sums_up_the_model_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    shown = page(folder, detection_result(tmp_path))
    assert (
        "On 12 images it had never seen, the model found 18 of 24 objects; 2 of its 20 boxes were wrong." in shown.text
    )
    for heading in (
        "mAP50",
        "How to improve the model",
        "Worst mistakes",
        "Classes",
        "Confusion matrix",
        "Curves",
        "What a score means",
    ):
        assert heading in shown.text


def test_report_lists_findings_notes_settings_times_and_files(folder: Path, tmp_path: Path) -> None:
    text = page(folder, detection_result(tmp_path)).text
    for expected in (
        "A box lies partly outside of the image; it was clipped.",
        "annotations.csv line 3",
        "went on at epoch 3",
        "fcos_tiny",
        "95 s",
        "aten::unheard_of",
        "vott-train/training-1",
        "labels.txt",
    ):
        assert expected in text


def test_report_has_no_external_references_and_no_scripts(folder: Path, tmp_path: Path) -> None:
    shown = page(folder, detection_result(tmp_path))
    assert shown.references
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in shown.references)
    assert "script" not in shown.elements


def test_labels_are_escaped(folder: Path, tmp_path: Path) -> None:
    labels = [SCRIPT, "a|b *c* _d_", "$x^2$ 円 {{ 7*7 }}"]
    shown = page(folder, detection_result(tmp_path, labels))
    assert "script" not in shown.elements
    for label in labels:
        assert label in shown.text
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in card.replace("\\<", "").replace("\\>", "")
    assert "a\\|b \\*c\\* \\_d\\_" in card
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["labels"] == labels


def test_no_file_contains_a_url_s_query(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    report.write(folder, dataclasses.replace(result, details={"from": ["https://store/a?sig=SECRET"]}))
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert b"SECRET" not in file.read_bytes(), file.name
    assert "https://store/models/old.tgz" in (folder / "report.html").read_text(encoding="utf-8")


def test_report_of_large_images_stays_small(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    for path in tmp_path.glob("*.png"):
        noise = Image.frombytes("RGB", (800, 600), random.Random(path.name).randbytes(800 * 600 * 3))
        noise.save(path, compress_level=0)
    report.write(folder, result)
    assert (folder / "report.html").stat().st_size < 3_000_000


def test_examples_whose_images_are_missing_are_left_out(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    assert "image" not in page(folder, result).elements
    assert not (folder / "sample.jpg").exists()


def test_metrics_file_holds_all_metrics(folder: Path, tmp_path: Path) -> None:
    report.write(folder, result := detection_result(tmp_path))
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert content["metrics"] == result.metrics
    assert content["history"] == result.history
    assert content["settings"] == result.settings
    assert content["seconds"] == result.seconds
    assert content["counts"]["heldOutImages"] == 12
    assert content["findings"][1] == {
        "kind": "line",
        "where": "annotations.csv line 3",
        "what": "expected 6 fields, found 2",
    }
    assert content["perClass"]["circle"]["count"] == 8
    assert content["confusion"]["labels"][-1] == "background"
    assert set(content["curves"]["circle"][0]) == {"recall", "precision", "score"}
    assert content["onnx"]["file"] is None
    assert set(content["calibration"]) == {"expectedCalibrationError", "points"}
    assert sum(point["count"] for point in content["calibration"]["points"]) == 20


def test_numbers_that_json_can_t_hold_become_null(folder: Path) -> None:
    report.write(folder, Result("p", {"loss": math.nan}, history=[{"epoch": 1, "loss": math.inf}]))
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["metrics"] == {"loss": None}


def test_plugin_that_measures_nothing_gets_a_report(folder: Path) -> None:
    shown = page(folder, Result("hello-world", {"boxes": 12.0}, parameters={"epochs": 3}))
    assert "hello-world" in shown.text
    assert "does not measure its models" in shown.text
    assert "No problems were found." in shown.text
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "labels.txt", "metrics.json", "report.html"]


def test_report_without_curves_imports_neither_matplotlib_nor_torch(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from vott_trainer import report; "
        f"report.write(Path({str(folder)!r}), report.Result('hello-world', {{'boxes': 1.0}})); "
        "print({'matplotlib', 'torch'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=os.environ | PATHS, capture_output=True, text=True)
    assert ended.stdout == "set()\n", ended.stderr


def test_tensorboard_shows_each_metric_over_the_epochs(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    (file,) = (folder / "tensorboard").iterdir()
    values = [(event.step, value) for event in events(file) for value in event.summary.value]
    losses = {step: value.simple_value for step, value in values if value.tag == "loss"}
    assert losses == pytest.approx({epoch: 2 / epoch for epoch in range(1, 11)})
    assert sorted(step for step, value in values if value.tag == "mAP50") == [2, 4, 6, 8, 10]


def events(file: Path) -> list[Event]:
    """Read TFRecords: length (8 bytes), its checksum (4), event, its checksum (4)."""
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_sample_is_a_held_out_image_without_mistakes(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    with Image.open(folder / "sample.jpg") as image:
        assert image.size == (640, 480)


def test_model_card_describes_the_model_and_its_use(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: detection, fcos\\_tiny")
    assert "vott_trainer predict --model model.tgz" in card
    assert "| circle | 8 |" in card


def test_intervals_are_beside_the_metrics(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    assert result.evaluation
    intervals = Intervals({"mAP50": Interval(0.784, 0.91)}, {"circle": {"AP50": Interval(0.7, 0.955)}})
    measured = dataclasses.replace(result, evaluation=dataclasses.replace(result.evaluation, intervals=intervals))
    text = page(folder, measured).text
    assert "78 to 91 % (95 % confidence)" in text
    assert "70 to 96 %" in text
    assert "expect mAP50 between 78 and 91 %" in text
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "(78 to 91 %)" in card
    assert "(70 to 96 %)" in card
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["intervals"] == {
        "confidence": 0.95,
        "metrics": {"mAP50": [0.784, 0.91]},
        "perClass": {"circle": {"AP50": [0.7, 0.955]}},
    }


def test_classifier_s_report_says_how_often_it_is_correct(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "0.png")
    example = matching.example(tmp_path / "0.png", "0.png", [Prediction("cat", 1.0)], [Prediction("dog", 0.8)])
    evaluation = Evaluation(
        {"accuracy": 0.9},
        {"cat": {"f1": 0.9, "count": 10.0}},
        confusion=Confusion(["cat", "dog"], [[9, 1], [1, 9]]),
        examples=[example],
    )
    text = page(folder, Result("classification", evaluation.metrics, evaluation=evaluation)).text
    assert "the model classified 18 of 20 correctly" in text
    assert "cat mistaken for dog" in text


def test_class_that_is_never_found_has_no_curve(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    assert result.evaluation
    curves = {**result.evaluation.curves, "unicorn": []}
    shown = page(folder, dataclasses.replace(result, evaluation=dataclasses.replace(result.evaluation, curves=curves)))
    assert "Precision and recall" in shown.text


def test_duplicate_boxes_are_no_hint_at_a_missing_annotation(folder: Path, tmp_path: Path) -> None:
    text = page(folder, measured(tmp_path, [box(0)], [box(0, 0.9), box(3, 0.6), box(4, 0.5)])).text
    assert "found 1 of 1 object; none of its 3 boxes was wrong, but 2 were duplicates." in text
    assert "duplicate box on cat (2 times); cat found" in text
    assert "cat 60%, duplicate" in text
    assert "duplicate boxes, on an object that another box had already found (cat 2 times)" in text
    assert "2 of 3 boxes are duplicates of another box on the same object. Train longer" in text
    assert "often the annotation is missing" not in text
    assert "none is annotated" not in text


def test_wrong_box_may_be_the_annotation_s_fault(folder: Path, tmp_path: Path) -> None:
    text = page(folder, measured(tmp_path, [box(0)], [box(0, 0.9), box(3, 0.7), box(60, 0.6)])).text
    assert "1 of its 3 boxes was wrong, and 1 was a duplicate" in text
    assert "often the annotation is missing" in text


def test_identical_curves_all_stay_visible() -> None:
    from vott_trainer.report import charts

    points = [(0.0, 1.0), (1.0, 1.0)]
    lines = [charts.Line(name, points, colour) for name, colour in zip("abc", charts.COLOURS, strict=False)]
    drawn = re.findall(r'style="(fill: none;[^"]*)"', charts.precision_recall("", "", lines).svg)
    dashes = [
        style.partition("stroke-dasharray: ")[2].partition(";")[0]
        for line in lines
        for style in drawn
        if line.colour in style
    ]
    assert dashes == ["", "10,5", "5,10"]


def test_legend_has_no_boxes_if_no_picture_has_one(folder: Path, tmp_path: Path) -> None:
    def keys(result: Result) -> int:
        report.write(folder, result)
        return (folder / "report.html").read_text(encoding="utf-8").count('<span class="key ')

    Image.new("RGB", (40, 30)).save(tmp_path / "0.png")
    whole = matching.example(tmp_path / "0.png", "0.png", [Prediction("cat", 1.0)], [Prediction("dog", 0.8)])
    evaluation = Evaluation({"accuracy": 0.9}, confusion=Confusion(["cat", "dog"], [[9, 1], [1, 9]]), examples=[whole])
    assert keys(Result("classification", evaluation.metrics, evaluation=evaluation)) == 0
    assert keys(measured(tmp_path, [box(0)], [box(0, 0.9)])) == 3


def test_model_card_separates_settings_times_and_notes(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    card = (folder / "README.md").read_text(encoding="utf-8")
    settings, time, notes = re.split(r"^### .*$", card.partition("## Training")[2], flags=re.MULTILINE)
    assert "- epochs: 10" in settings
    assert time.split() == ["-", "images:", "1.2", "s", "-", "training:", "95", "s"]
    assert "went on at epoch 3" in notes


WRITERS = {
    "metrics.json": "write_metrics",
    "README.md": "write_card",
    "sample.jpg": "write_sample",
    "tensorboard": "write_events",
    "report.html": "write_page",
}


@pytest.mark.parametrize("name", WRITERS)
def test_file_that_fails_is_left_out_and_mentioned_in_the_others(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, *_: object) -> None:
        path.write_text("half of it")
        raise ValueError("no such thing at https://store/a?sig=SECRET")

    monkeypatch.setattr(files, WRITERS[name], write)
    report.write(folder, detection_result(tmp_path))
    assert {path.name for path in folder.iterdir()} == {"labels.txt", *WRITERS} - {name}
    for other in {"metrics.json", "README.md", "report.html"} - {name}:
        text = (folder / other).read_text(encoding="utf-8").replace("\\", "")
        assert f"{name} could not be written and is missing (ValueError: no such thing at https://store/a" in text
        assert "SECRET" not in text


def test_page_says_why_the_onnx_file_was_not_compared(folder: Path, tmp_path: Path) -> None:
    details = {"onnx": {"file": "model.onnx", "difference": None, "compared": 0, "why": "It sees nothing."}}
    text = page(folder, dataclasses.replace(detection_result(tmp_path), details=details)).text
    assert "It sees nothing." in text
    assert "no ONNX file" not in text
