"""Verification and output of the demo's result."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from demo.consumer import Training
from demo.errors import DemoError
from demo.progress import COMPLETE, Step
from demo.report import COLUMNS, callback_table, metric_lines, save
from demo.result import problems, read_model

LAST = {"state": "succeeded", "progress": 1.0, "epoch_current": 3, "epoch_total": 3, "step_current": 4, "step_total": 4}


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# Created once: gzip stores the time, so a second archive would have another hash.
MODEL = read_model(
    archive(
        metrics_json=b'{"metrics": {"mAP50": 0.9}}',
        labels_txt=b"circle\nsquare\n",
        sample_jpg=b"jpeg",
        report_html=b"html",
    )
)


def training(sha256: str, phase: str = COMPLETE, callback: str = "") -> Training:
    return Training("vott-1", Step(phase, ""), model={"sha256": sha256}, callback=callback)


def test_a_model_archive_is_read() -> None:
    assert (MODEL.metrics, MODEL.labels, MODEL.sample) == ({"mAP50": 0.9}, ("circle", "square"), b"jpeg")


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archive(labels_txt=b"a"),
        archive(metrics_json=b"{"),
        archive(metrics_json=b"[]"),
        archive(metrics_json=b"{}"),
    ],
)
def test_an_invalid_model_is_reported(content: bytes) -> None:
    with pytest.raises(DemoError, match=r"not an archive with metrics\.json"):
        read_model(content)


def test_a_complete_verified_and_reported_model_has_no_problems() -> None:
    assert problems(training(MODEL.sha256), MODEL, [{"state": "running"}, LAST]) == []


def test_a_message_without_callback_needs_no_posts() -> None:
    assert problems(training(MODEL.sha256), MODEL, None) == []


@pytest.mark.parametrize(
    ("state", "posts", "expected"),
    [
        (training(MODEL.sha256, phase="training"), [LAST], "not complete"),
        (training("0" * 64), [LAST], "the trainer has reported 0000"),
        (training(MODEL.sha256), [], "No callback was received: unknown reason"),
        (training(MODEL.sha256, callback="503"), [], "No callback was received: 503"),
        (training(MODEL.sha256), [LAST | {"state": "running"}], "last callback has state 'running'"),
        (training(MODEL.sha256), [LAST | {"progress": 0.99}], "progress 0.99"),
    ],
)
def test_each_problem_is_reported(state: Training, posts: list[dict[str, Any]], expected: str) -> None:
    (problem,) = problems(state, MODEL, posts)
    assert expected in problem


def test_the_callback_table_shows_the_first_and_last_post() -> None:
    lines = callback_table([{"state": "running", "progress": 0.0}, LAST]).splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert [line.split()[0:2] for line in lines[1:]] == [["first", "running"], ["last", "succeeded"]]


def test_only_numeric_metrics_are_shown() -> None:
    metrics = {"mAP50": 0.91234, "images": 48, "perClass": {"circle": 1.0}, "good": True}
    assert metric_lines(metrics) == "mAP50   0.9123\nimages  48"


def test_report_and_sample_are_saved(tmp_path: Path) -> None:
    saved = save(MODEL, tmp_path)
    assert (saved.predicted, saved.report) == (tmp_path / "predicted.jpg", tmp_path / "report.html")
    assert (tmp_path / "predicted.jpg").read_bytes() == b"jpeg"
    assert (tmp_path / "report.html").read_bytes() == b"html"


def test_report_and_sample_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    save(MODEL, tmp_path)
    saved = save(read_model(archive(metrics_json=b'{"metrics": {}}')), tmp_path)
    assert (saved.predicted, saved.report) == (None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tgz"]
