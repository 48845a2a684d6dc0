"""Files that every model has beside the plugin's own; an error in them does not lose the model."""

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from vott_trainer import delivery
from vott_trainer.command_line import parse
from vott_trainer.errors import InvalidParametersError
from vott_trainer.parameters import shown, validate
from vott_trainer.plugin_api import DataParameters, Evaluation, Links, Trained
from vott_trainer.plugins.script import ScriptParameters
from vott_trainer.progress.progress import Progress
from vott_trainer.report import files
from vott_trainer.settings import TrainSettings
from vott_trainer.stores import model_archive
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun

LABEL = 'size?x="L" 5'
ARGUMENTS = ["--plugin", "mine", "--annotations", "https://store/a.csv", "--model", "https://store/models?sp=w&sig=x"]


def delivered_config(
    folder: Path, trained: Trained, parameters: dict[str, Any] | None = None, onnx_file: bytes = b""
) -> dict[str, Any]:
    """Deliver a model, with an ONNX file if given; return the `config.json` in its archive."""
    settings = parse(ARGUMENTS, {})
    assert isinstance(settings, TrainSettings)
    run = TrainingRun(Links("", "", None), folder / "work", Progress())
    if onnx_file:
        (run.model_dir / "model.onnx").write_bytes(onnx_file)
    model = Destination(FolderStore(folder / "store"), "model.tgz")
    delivery.deliver(settings, validate(ScriptParameters, parameters or {}), run, trained, model, folder)
    model_archive.unpack(folder / "store/model.tgz", folder / "unpacked")
    found: dict[str, Any] = json.loads((folder / "unpacked/config.json").read_text(encoding="utf-8"))
    return found


def test_label_that_looks_like_a_query_is_not_redacted(tmp_path: Path) -> None:
    labels = [LABEL, 'a?b="c"', "what?=yes", "https://a/?b=c"]
    assert delivered_config(tmp_path, Trained({}, config={"labels": labels}))["labels"] == labels


def test_config_has_no_queries_of_urls(tmp_path: Path) -> None:
    trained = Trained({}, config={"from": ["https://store/old.tgz?sig=SECRET"], "prompt": LABEL})
    found = delivered_config(tmp_path, trained, {"initialWeights": "https://store/old.tgz?sig=SECRET"})
    assert found["from"] == ["https://store/old.tgz"]
    assert found["parameters"] == {"initialWeights": "https://store/old.tgz"}
    assert found["prompt"] == LABEL


def test_shown_parameters_have_no_queries_of_urls() -> None:
    parameters = {"prompt": 'what?x="y"', "urls": ["https://store/a?sig=SECRET"]}
    assert shown(validate(ScriptParameters, parameters)) == parameters | {"urls": ["https://store/a"]}


def test_parameter_errors_have_no_prefix_of_pydantics() -> None:
    with pytest.raises(InvalidParametersError, match=r"^parameter 'imagesUrl': must be .*, found 'ftp://h/'"):
        validate(DataParameters, {"imagesUrl": "ftp://h/"})


def test_values_that_are_not_json_do_not_lose_the_model(tmp_path: Path) -> None:
    found = delivered_config(tmp_path, Trained({}, config={"threshold": np.float32(0.5), "base": Path("a/b")}))
    assert (found["threshold"], found["base"]) == (0.5, "a/b")


THRESHOLDS = {"cat": 0.31, LABEL: 0.5}
WITH_THRESHOLDS = Trained({}, evaluation=Evaluation({"mAP50": 1.0}, thresholds=THRESHOLDS))


def test_thresholds_are_in_the_config_under_unchanged_labels(tmp_path: Path) -> None:
    assert delivered_config(tmp_path / "a", WITH_THRESHOLDS)["thresholds"] == THRESHOLDS
    assert "thresholds" not in delivered_config(tmp_path / "b", Trained({}, evaluation=Evaluation({"mAP50": 1.0})))


def test_thresholds_that_the_plugin_has_chosen_itself_are_kept(tmp_path: Path) -> None:
    chosen = replace(WITH_THRESHOLDS, config={"thresholds": {"cat": 0.9}})
    assert delivered_config(tmp_path, chosen)["thresholds"] == {"cat": 0.9}


def test_thresholds_are_in_the_onnx_file_beside_its_own_metadata(tmp_path: Path) -> None:
    model = onnx.ModelProto(ir_version=8, producer_name="a plugin")
    onnx.helper.set_model_props(model, {"labels": '["cat"]'})
    delivered_config(tmp_path, WITH_THRESHOLDS, onnx_file=model.SerializeToString())
    found = onnx.load(tmp_path / "unpacked/model.onnx")
    metadata = {entry.key: json.loads(entry.value) for entry in found.metadata_props}
    assert metadata == {"labels": ["cat"], "thresholds": THRESHOLDS}
    assert found.producer_name == "a plugin"


def test_onnx_file_that_can_t_be_read_does_not_lose_the_model(tmp_path: Path) -> None:
    delivered_config(tmp_path, WITH_THRESHOLDS, onnx_file=b"something else")
    assert (tmp_path / "unpacked/model.onnx").read_bytes() == b"something else"
    assert [note.partition(" (")[0] for note in notes(tmp_path)] == [
        "The metadata with the score thresholds in model.onnx could not be written and is missing"
    ]


@pytest.mark.parametrize("details", [{"seconds": "many"}, {"seconds": 3}])
def test_invalid_details_do_not_lose_the_model(details: dict[str, Any], tmp_path: Path) -> None:
    assert delivered_config(tmp_path, Trained({}, details=details))["plugin"] == "mine"
    assert [note.partition(" (")[0] for note in notes(tmp_path)] == [
        "The plugin's description of this training could not be written and is missing"
    ]


def notes(folder: Path) -> list[str]:
    """The notes in the delivered `metrics.json`."""
    found: list[str] = json.loads((folder / "unpacked/metrics.json").read_text(encoding="utf-8"))["notes"]
    return found


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch, part: str = "write_page") -> None:
    def write(path: Path, _result: object) -> None:
        path.write_text("half of it")
        raise error

    monkeypatch.setattr(files, part, write)


def test_report_that_fails_does_not_lose_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(OSError("image file is truncated"), monkeypatch)
    assert delivered_config(tmp_path, Trained({}))["plugin"] == "mine"
    assert notes(tmp_path) == ["report.html could not be written and is missing (OSError: image file is truncated)."]
    assert "report.html could not be written" in (tmp_path / "unpacked/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["write_page", "write_metrics", "write_card", "write_events"])
def test_full_disk_ends_the_delivery(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(OSError(errno.ENOSPC, "No space left on device"), monkeypatch, part)
    with pytest.raises(OSError, match="No space left"):
        delivered_config(tmp_path, Trained({}))
