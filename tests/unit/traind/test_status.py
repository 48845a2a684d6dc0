"""The trainer's status file and termination message."""

import json
from pathlib import Path

import pytest

from vott_messaging.callbacks.payload import ProgressReport
from vott_traind.status import Failure, Model, read_status, read_termination

PROGRESS = {
    "percent": 42,
    "epochCurrent": 3,
    "epochTotal": 10,
    "stepCurrent": 7,
    "stepTotal": 25,
    "classificationLoss": 0.25,
}


def test_a_status_has_progress_metrics_and_model(tmp_path: Path) -> None:
    (file := tmp_path / "status.json").write_text(
        json.dumps(
            {
                "progress": {**PROGRESS, "imagesPerSecond": 9.8, "estimatedCompletionTime": "2026-01-01T00:12:00Z"},
                "metrics": [{"name": "mAP50", "value": 0.91}],
                "model": {"url": "https://store/model.tgz", "sha256": "ab", "sizeBytes": 123},
                "message": "Epoch 3 of 10",
            }
        )
    )
    status = read_status(file)
    assert status is not None
    assert status.report == ProgressReport(
        percent=42, epoch_current=3, epoch_total=10, step_current=7, step_total=25, classification_loss=0.25
    )
    assert (status.message, status.images_per_second) == ("Epoch 3 of 10", 9.8)
    assert status.estimated_completion_time == "2026-01-01T00:12:00Z"
    assert status.metrics == {"mAP50": 0.91}
    assert status.model == Model("https://store/model.tgz", 123)


def test_a_status_may_be_nearly_empty(tmp_path: Path) -> None:
    (file := tmp_path / "status.json").write_text("{}")
    status = read_status(file)
    assert status is not None
    assert (status.report, status.model, status.metrics) == (ProgressReport(), None, {})


@pytest.mark.parametrize("text", [None, "", "[]", "3", '{"model": {"url": "x"}}', '{"progress": {"percent": "x"}}'])
def test_what_is_no_status_counts_as_none(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "status.json"
    if text is not None:
        file.write_text(text)
    assert read_status(file) is None


def test_a_termination_message_explains_a_failure(tmp_path: Path) -> None:
    (file := tmp_path / "t").write_text('{"reason": "BadAnnotations", "message": "line 7: wrong."}')
    assert read_termination(file) == Failure("BadAnnotations", "line 7: wrong.")


@pytest.mark.parametrize("data", [None, b"", b"killed", b"\xff"])
def test_any_other_text_explains_nothing(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "t"
    if data is not None:
        file.write_bytes(data)
    assert read_termination(file) is None
