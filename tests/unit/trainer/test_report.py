"""What a training leaves for people and programs: report.html, metrics.json, the model card, TensorBoard's events, a sample."""

import dataclasses
import json
import math
import os
import random
import struct
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from tests.unit.trainer.results import detection_result
from vott_trainer import report
from vott_trainer.annotations import Box
from vott_trainer.evaluation import Confusion, Evaluation, Prediction
from vott_trainer.report import Result, words
from vott_trainer.report.advice import advice
from vott_trainer.report.pictures import sentence
from vott_trainer.vision import matching

PATHS = {"PYTHONPATH": str(Path(__file__).parents[3] / "trainer-image")}
SCRIPT = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, what they refer to, and its text."""

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
    """The model's folder, with what a plugin left there."""
    (folder := tmp_path / "model").mkdir()
    (folder / "labels.txt").write_text("circle\nsquare\ntriangle\n")
    return folder


def page(folder: Path, result: Result) -> Reader:
    report.write(folder, result)
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_report_says_what_the_model_can_do_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    shown = page(folder, detection_result(tmp_path))
    assert (
        "On 12 images that it had never seen, the model found 18 of 24 objects; 2 of the 20 boxes it drew were wrong."
        in shown.text
    )
    for words_ in ("mAP50", "What would make it better", "Where it is most wrong", "Each class", "Curves"):
        assert words_ in shown.text


def test_report_tells_findings_notes_settings_times_and_files(folder: Path, tmp_path: Path) -> None:
    text = page(folder, detection_result(tmp_path)).text
    for told in (
        "A box lies partly outside of the image; it was clipped.",
        "annotations.csv line 3",
        "went on at epoch 3",
        "fcos_tiny",
        "95 s",
        "aten::unheard_of",
        "vott-train/training-1",
        "labels.txt",
    ):
        assert told in text


def test_report_refers_to_nothing_outside_of_itself_and_has_no_script(folder: Path, tmp_path: Path) -> None:
    shown = page(folder, detection_result(tmp_path))
    assert shown.references
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in shown.references)
    assert "script" not in shown.elements


def test_label_is_text_whatever_it_holds(folder: Path, tmp_path: Path) -> None:
    labels = [SCRIPT, "a|b *c* _d_", "$x^2$ 円 {{ 7*7 }}"]
    shown = page(folder, detection_result(tmp_path, labels))
    assert "script" not in shown.elements
    for label in labels:
        assert label in shown.text
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in card.replace("\\<", "").replace("\\>", "")
    assert "a\\|b \\*c\\* \\_d\\_" in card
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["labels"] == labels


def test_no_file_holds_a_url_s_query(folder: Path, tmp_path: Path) -> None:
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


def test_examples_whose_images_are_gone_are_left_out(folder: Path, tmp_path: Path) -> None:
    result = detection_result(tmp_path)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    assert "image" not in page(folder, result).elements
    assert not (folder / "sample.jpg").exists()


def test_metrics_file_holds_all_figures(folder: Path, tmp_path: Path) -> None:
    report.write(folder, result := detection_result(tmp_path))
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert figures["metrics"] == result.metrics
    assert figures["history"] == result.history
    assert figures["settings"] == result.settings
    assert figures["seconds"] == result.seconds
    assert figures["counts"]["heldOutImages"] == 12
    assert figures["findings"][1] == {
        "kind": "line",
        "where": "annotations.csv line 3",
        "what": "expected 6 fields, found 2",
    }
    assert figures["perClass"]["circle"]["count"] == 8
    assert figures["confusion"]["labels"][-1] == "background"
    assert set(figures["curves"]["circle"][0]) == {"recall", "precision", "score"}
    assert figures["onnx"]["file"] is None


def test_number_that_json_does_not_know_becomes_null(folder: Path) -> None:
    report.write(folder, Result("p", {"loss": math.nan}, history=[{"epoch": 1, "loss": math.inf}]))
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert figures["metrics"] == {"loss": None}


def test_result_of_a_plugin_that_measures_nothing_has_a_report(folder: Path) -> None:
    shown = page(folder, Result("hello-world", {"boxes": 12.0}, parameters={"epochs": 3}))
    assert "hello-world" in shown.text
    assert "does not measure its models" in shown.text
    assert "Nothing was found wrong with the data." in shown.text
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "labels.txt", "metrics.json", "report.html"]


def test_report_without_curves_takes_no_time_for_matplotlib(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from vott_trainer import report; "
        f"report.write(Path({str(folder)!r}), report.Result('hello-world', {{'boxes': 1.0}})); "
        "print({'matplotlib', 'torch'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=os.environ | PATHS, capture_output=True, text=True)
    assert ended.stdout == "set()\n", ended.stderr


def test_tensorboard_shows_each_figure_over_the_epochs(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    (file,) = (folder / "tensorboard").iterdir()
    values = [(event.step, value) for event in events(file) for value in event.summary.value]
    losses = {step: value.simple_value for step, value in values if value.tag == "loss"}
    assert losses == pytest.approx({epoch: 2 / epoch for epoch in range(1, 11)})
    assert sorted(step for step, value in values if value.tag == "mAP50") == [2, 4, 6, 8, 10]


def events(file: Path) -> list[Event]:
    """Read TFRecords: length (8 bytes), its checksum (4), the event, its checksum (4)."""
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_sample_is_a_held_out_image_that_the_model_gets_right(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    with Image.open(folder / "sample.jpg") as image:
        assert image.size == (640, 480)


def test_model_card_says_what_it_is_and_how_to_use_it(folder: Path, tmp_path: Path) -> None:
    report.write(folder, detection_result(tmp_path))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: detection, fcos\\_tiny")
    assert "vott_trainer predict --model model.tgz" in card
    assert "| circle | 8 |" in card


def test_confused_classes_are_named_with_what_to_do() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[6, 4, 0], [0, 9, 1], [0, 2, 0]], with_background=True)
    told = advice(result(confusion))
    assert told[0].startswith("“cat” is taken for “dog” (4 times).")
    assert told[1].startswith("“cat” is found too seldom: 6 of 10.")
    assert len(told) == 2


def test_class_with_few_examples_or_none_to_measure_is_named() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[0, 0, 0], [0, 9, 0], [0, 0, 0]], with_background=True)
    told = advice(dataclasses.replace(result(confusion), counts={"boxes": {"cat": 1, "dog": 60}}))
    assert told[0].startswith("“cat” is on none of the images that measured the model")
    assert told[1].startswith("“cat” has only 1 example.")


@pytest.mark.parametrize(("last", "advised"), [(0.8, True), (0.51, False)])
def test_longer_training_is_advised_where_the_model_was_still_getting_better(last: float, advised: bool) -> None:
    rows = [{"epoch": number, "mAP50": value} for number, value in enumerate((0.1, 0.3, 0.5, 0.5, last))]
    given = dataclasses.replace(result(None), metrics={"mAP50": last}, history=rows)
    assert any("train it longer" in sentence for sentence in advice(given)) is advised


def test_figures_that_rest_on_few_objects_are_said_to_be_rough() -> None:
    few = Confusion(["cat"], [[9]])
    assert words.caveat(Evaluation({"accuracy": 1.0}, confusion=few)).startswith("Only 9 examples measured this")
    assert words.caveat(Evaluation({"accuracy": 1.0}, confusion=Confusion(["cat"], [[90]]))) == ""


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"mAP50": 0.93}, "Very good"),
        ({"mAP50": 0.2}, "Not good yet"),
        ({"accuracy": 0.9}, "Good"),
        ({"bleu": 0.5}, ""),
    ],
)
def test_quality_is_said_in_words_where_the_metric_is_known(metrics: dict[str, float], said: str) -> None:
    assert words.grade(Evaluation(metrics)) == said


def test_classifier_s_report_says_how_often_it_is_right(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "0.png")
    example = matching.example(tmp_path / "0.png", "0.png", [Prediction("cat", 1.0)], [Prediction("dog", 0.8)])
    evaluation = Evaluation(
        {"accuracy": 0.9},
        {"cat": {"f1": 0.9, "count": 10.0}},
        confusion=Confusion(["cat", "dog"], [[9, 1], [1, 9]]),
        examples=[example],
    )
    text = page(folder, Result("classification", evaluation.metrics, evaluation=evaluation)).text
    assert "the model told the class rightly 18 of 20 times" in text
    assert "cat taken for dog" in text


def test_mistakes_are_said_before_what_is_right_and_many_are_counted() -> None:
    one = {name: Prediction(name, 0.9) for name in "abcdefg"}
    assert sentence([(one["a"], one["a"]), (one["b"], None), (one["b"], None)]) == "2 times b missed; a found"
    missed = [(one[name], None) for name in "abcde"]
    right = [(one[name], one[name]) for name in "abcd"]
    assert sentence([*right, *missed]) == "a missed; b missed; c missed; 2 other mistakes; 4 found"
    assert sentence([]) == "nothing is there, and the model sees nothing"


def test_class_that_is_never_found_has_no_curve_but_a_report(folder: Path, tmp_path: Path) -> None:
    given = detection_result(tmp_path)
    assert given.evaluation
    curves = {**given.evaluation.curves, "unicorn": []}
    shown = page(folder, dataclasses.replace(given, evaluation=dataclasses.replace(given.evaluation, curves=curves)))
    assert "Precision and recall" in shown.text


def test_text_of_a_box_at_the_right_edge_stays_in_the_picture() -> None:
    from vott_trainer.report.pictures import _mark

    mark = _mark(None, Prediction("a long name", 0.9, Box(560, 100, 70, 70, "a long name")), 1.0, 640, 24)
    assert mark
    assert (mark.anchor, mark.text_x) == ("end", 630)


def result(confusion: Confusion | None) -> Result:
    per_class = matching.per_class(confusion, ["cat", "dog"]) if confusion else {}
    return Result("detection", {"mAP50": 0.5}, evaluation=Evaluation({"mAP50": 0.5}, per_class, confusion=confusion))
