"""The demo's verdict on what came of a training."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from demo.errors import DemoError
from demo.report import COLUMNS, callback_table, metric_lines, save
from demo.result import faults, read_model

LAST = {"state": "succeeded", "progress": 1.0, "epoch_current": 3, "epoch_total": 3, "step_current": 4, "step_total": 4}


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# Packed once: gzip writes the time into the archive, and so another hash a second later.
MODEL = read_model(
    archive(
        metrics_json=b'{"metrics": {"mAP50": 0.9}}',
        labels_txt=b"circle\nsquare\n",
        sample_jpg=b"jpeg",
        report_html=b"html",
    )
)


def job(sha256: str, complete: str = "True") -> dict[str, Any]:
    return {"status": {"model": {"sha256": sha256}, "conditions": [{"type": "Complete", "status": complete}]}}


def test_model_archive_is_read() -> None:
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
def test_unreadable_model_is_said(content: bytes) -> None:
    with pytest.raises(DemoError, match=r"not an archive with metrics\.json"):
        read_model(content)


def test_complete_verified_and_reported_is_without_fault() -> None:
    assert faults(job(MODEL.sha256), MODEL, [{"state": "running"}, LAST]) == []


def test_message_without_callback_needs_no_posts() -> None:
    assert faults(job(MODEL.sha256), MODEL, None) == []


@pytest.mark.parametrize(
    ("state", "posts", "said"),
    [
        (job(MODEL.sha256, complete="False"), [LAST], "not Complete"),
        (job("0" * 64), [LAST], "status.model.sha256 says 0000"),
        (job(MODEL.sha256), [], "received nothing"),
        (job(MODEL.sha256), [LAST | {"state": "running"}], "last callback says state 'running'"),
        (job(MODEL.sha256), [LAST | {"progress": 0.99}], "progress 0.99"),
    ],
)
def test_what_is_not_as_promised_is_said(state: dict[str, Any], posts: list[dict[str, Any]], said: str) -> None:
    (fault,) = faults(state, MODEL, posts)
    assert said in fault


def test_callback_table_shows_first_and_last_post() -> None:
    lines = callback_table([{"state": "running", "progress": 0.0}, LAST]).splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert [line.split()[0:2] for line in lines[1:]] == [["first", "running"], ["last", "succeeded"]]


def test_metrics_show_numbers_only() -> None:
    metrics = {"mAP50": 0.91234, "images": 48, "perClass": {"circle": 1.0}, "good": True}
    assert metric_lines(metrics) == "mAP50   0.9123\nimages  48"


def test_report_and_sample_are_saved_to_look_at(tmp_path: Path) -> None:
    saved = save(MODEL, tmp_path)
    assert (saved.predicted, saved.report) == (tmp_path / "predicted.jpg", tmp_path / "report.html")
    assert (tmp_path / "predicted.jpg").read_bytes() == b"jpeg"
    assert (tmp_path / "report.html").read_bytes() == b"html"


def test_report_and_sample_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    save(MODEL, tmp_path)
    saved = save(read_model(archive(metrics_json=b'{"metrics": {}}')), tmp_path)
    assert (saved.predicted, saved.report) == (None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tgz"]
