"""`vott_trainer predict`: predictions of a model, from its archive or its folder."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from vott_trainer.errors import UsageError
from vott_trainer.prediction import predict
from vott_trainer.settings import PredictSettings
from vott_trainer.stores import model_archive

NAMES = ["cat", "dog", "bird", "fish"]
PLUGIN = """
import json
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Parameters, Prediction

class Plugin:
    parameters = Parameters
    def train(self, run, parameters): ...
    def predict(self, model_dir, image):
        predictions = json.loads((model_dir / "predictions.json").read_text())
        return [Prediction(label, score, Box(*box, label) if box else None) for label, score, box in predictions]
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted plugin, `known`; its models predict what their file `predictions.json` holds."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "known.py").write_text(PLUGIN)
    monkeypatch.setenv("VOTT_PLUGINS", str(tmp_path / "plugins"))
    monkeypatch.setattr(sys, "path", sys.path[:])  # loading adds to it


def model(folder: Path, predictions: list[object], **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"plugin": "known", **config}))
    (folder / "predictions.json").write_text(json.dumps(predictions))
    return folder


def settings_for(tmp_path: Path, model: Path, image: str = "image.png", out: str = "out.jpg") -> PredictSettings:
    Image.new("RGB", (100, 80), (128, 128, 128)).save(tmp_path / "image.png")
    return PredictSettings(model, tmp_path / image, tmp_path / out)


def test_boxes_are_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_archive.pack(model(tmp_path / "model", [["cat", 0.91, [10, 20, 30, 40]]]), packed := tmp_path / "model.tgz")
    predict(settings_for(tmp_path, packed))
    assert capsys.readouterr().out == "cat\t0.910\tx=10 y=20 width=30 height=40\n"
    with Image.open(tmp_path / "out.jpg") as drawn:
        assert drawn.size == (100, 80)
        assert drawn.getpixel((12, 58)) != (128, 128, 128)


def test_classes_of_a_whole_image_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(settings_for(tmp_path, model(tmp_path / "model", [["cat", 0.9, None], ["dog", 0.1, None]])))
    assert capsys.readouterr().out == "cat\t0.900\ndog\t0.100\n"


def test_model_that_was_delivered_unpacked_is_used_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model(tmp_path / "model", [])
    predict(settings_for(tmp_path, folder))
    assert capsys.readouterr().out == "nothing found\n"
    assert (folder / "config.json").exists()


def test_without_out_no_image_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path, model(tmp_path / "model", [["cat", 0.91, [10, 20, 30, 40]]]))
    predict(dataclasses.replace(settings, out=None))
    assert capsys.readouterr().out.startswith("cat\t0.910")
    assert [path.name for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png")] == ["image.png"]


def test_shown_predictions_are_written_as_coco_s_json(tmp_path: Path) -> None:
    found: list[object] = [["cat", 0.91, [10, 20, 30, 40]], ["dog", 0.2, [1, 2, 3, 4]], ["bird", 0.2, None]]
    settings = settings_for(tmp_path, model(tmp_path / "model", found))
    predict(dataclasses.replace(settings, json=tmp_path / "found.json"))
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["images"] == [{"id": 1, "file_name": "image.png", "width": 100, "height": 80}]
    cat = {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "score": 0.91,
        "bbox": [10, 20, 30, 40],
        "area": 1200,
        "iscrowd": 0,
    }
    assert document["annotations"] == [cat, {"id": 2, "image_id": 1, "category_id": 1, "score": 0.2}]
    with pytest.raises(UsageError, match=r"nowhere/found\.json can't be written"):
        predict(dataclasses.replace(settings, json=tmp_path / "nowhere/found.json"))


@pytest.mark.parametrize(
    ("score", "shown"), [(None, ["cat", "bird", "fish"]), (0.3, ["cat", "dog"]), (0.95, []), (0.0, NAMES)]
)
def test_objects_from_half_a_score_on_are_shown_by_default(
    tmp_path: Path, score: float | None, shown: list[str]
) -> None:
    box = [10, 20, 30, 40]
    predictions: list[object] = [["cat", 0.91, box], ["dog", 0.3, box], ["bird", 0.2, None], ["fish", 0.1, None]]
    settings = settings_for(tmp_path, model(tmp_path / "model", predictions))
    assert [one.label for one in predict(dataclasses.replace(settings, score=score))] == shown


@pytest.mark.parametrize(("score", "shown"), [(None, ["cat", "fish"]), (0.5, ["cat", "dog"])])
def test_objects_from_the_model_s_threshold_of_their_class_on_are_shown(
    tmp_path: Path, score: float | None, shown: list[str]
) -> None:
    box = [10, 20, 30, 40]
    predictions: list[object] = [["cat", 0.91, box], ["dog", 0.7, box], ["bird", 0.29, box], ["fish", 0.3, box]]
    folder = model(tmp_path / "model", predictions, thresholds={"dog": 0.71, "bird": 0.3, "fish": 0.3})
    settings = dataclasses.replace(settings_for(tmp_path, folder), score=score)
    assert [one.label for one in predict(settings)] == shown


@pytest.mark.parametrize("thresholds", [None, [0.1], "low", {"cat": None}, {"cat": "low"}, {}])
def test_model_whose_thresholds_can_t_be_used_shows_objects_from_half_a_score_on(
    tmp_path: Path, thresholds: object
) -> None:
    box = [10, 20, 30, 40]
    folder = model(tmp_path / "model", [["cat", 0.5, box], ["cat", 0.49, box]], thresholds=thresholds)
    assert [one.score for one in predict(settings_for(tmp_path, folder))] == [0.5]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"image": "missing.png"}, r"missing\.png can't be read: No such file"),
        ({"out": "no/such/folder.jpg"}, r"folder\.jpg can't be written"),
        ({"out": "out.unknown"}, r"out\.unknown can't be written"),
    ],
)
def test_unreadable_image_and_unwritable_output_are_named(
    tmp_path: Path, arguments: dict[str, str], error: str
) -> None:
    with pytest.raises(UsageError, match=error):
        predict(settings_for(tmp_path, model(tmp_path / "model", []), **arguments))


@pytest.mark.parametrize("config", ["", "{}", "[]"])
def test_folder_that_is_not_a_model_is_refused(tmp_path: Path, config: str) -> None:
    (folder := tmp_path / "model").mkdir()
    (folder / "config.json").write_text(config)
    with pytest.raises(UsageError, match=r"is not a model of this trainer: it has no config\.json"):
        predict(settings_for(tmp_path, folder))


def test_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read as a model archive"):
        predict(settings_for(tmp_path, tmp_path / "missing.tgz"))
