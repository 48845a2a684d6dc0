"""The status file: what the program that started the trainer reads, and who posts the outcome then."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.__main__ import main
from vott_trainer.errors import TemporaryFailureError
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.status_file import StatusFile
from vott_trainer.stores.store import StoredObject

SNAPSHOT = Snapshot(0.425, 3, 10, 7, 25, 0.25, 9.81234, {"mAP50": 0.91}, None, "Epoch 3 of 10", 90.4)
MODEL = StoredObject("https://store/models/model.tgz", "ab" * 32, 123)


@pytest.fixture
def status_file(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def read(path: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(path.read_bytes())
    return status


def test_status_file_has_the_trainingjob_s_fields_and_the_message(status_file: Path) -> None:
    StatusFile(status_file).send(SNAPSHOT)
    status = read(status_file)
    assert status.keys() == {"progress", "metrics", "message"}
    assert (status["progress"]["percent"], status["progress"]["epochCurrent"]) == (42, 3)
    assert status["message"] == "Epoch 3 of 10"


def test_each_report_replaces_the_file_at_once(status_file: Path) -> None:
    """Whoever has opened the file reads one whole report."""
    receiver = StatusFile(status_file)
    receiver.send(Snapshot(message="first"))
    with status_file.open() as opened:
        receiver.send(Snapshot(message="second"))
        assert json.load(opened)["message"] == "first"
    assert read(status_file)["message"] == "second"
    assert [*status_file.parent.iterdir()] == [status_file]


def test_last_report_that_can_t_be_written_is_a_temporary_failure(tmp_path: Path) -> None:
    with pytest.raises(TemporaryFailureError, match=r"The model is uploaded, but the status file .* No such file"):
        StatusFile(tmp_path / "missing/status.json").send_until_accepted(Snapshot(model=MODEL))


def train(server: HttpServer, *arguments: str) -> int:
    urls = {"annotations": "/a.csv", "model": "/out?token=SECRET", "status": "/status?sig=SECRET"}
    options = [text for name, path in urls.items() for text in (f"--{name}", server.url + path)]
    return main(["--plugin", "hello-world", "--name", "cats", *options, *arguments])


def test_reader_of_the_status_file_learns_the_verified_model_and_posts_the_outcome(
    server: HttpServer, status_file: Path
) -> None:
    server.always["/out"] = Answer(200)
    server.serve("/a.csv", f"{server.url}/1.png,1,1,10,10,cat\n".encode())
    assert train(server, "--status-file", str(status_file)) == 0
    model = read(status_file)["model"]
    assert model["url"] == f"{server.url}/out"
    assert (len(model["sha256"]), model["sizeBytes"] > 0) == (64, True)
    posts = server.bodies("/status")
    assert {post["job"] for post in posts} == {"cats"}
    assert {post["state"] for post in posts} == {"running"}


def test_failure_is_not_posted_with_a_status_file(server: HttpServer, status_file: Path) -> None:
    server.always["/a.csv"] = Answer(404)
    assert train(server, "--status-file", str(status_file)) == 66
    assert "failed" not in {post["state"] for post in server.bodies("/status")}


def test_outcome_is_posted_with_the_name_without_a_status_file(server: HttpServer) -> None:
    server.always["/a.csv"] = Answer(404)
    assert train(server) == 66
    last = server.bodies("/status")[-1]
    assert (last["job"], last["state"]) == ("cats", "failed")
