"""A training from its settings to its end: how long checkpoints are kept."""

import json
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from tests.support.trainer_process import ALLOWED
from tests.unit.trainer.toy_learner import ToyLearner
from vott_trainer import training
from vott_trainer.command_line import parse
from vott_trainer.errors import TemporaryFailureError
from vott_trainer.plugin_api import Dataset
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.trainingjob_status import TrainingJobStatus


class LastReportFails(TrainingJobStatus):
    """The API server accepts reports of progress, but not the model's."""

    def send(self, snapshot: Snapshot) -> None:
        pass

    def send_until_accepted(self, snapshot: Snapshot, policy: object = None) -> None:  # noqa: ARG002
        raise TemporaryFailureError("The API server does not answer.")


def test_checkpoints_stay_until_the_last_report_has_arrived(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vott_trainer.learning.checkpointing.WORTH_SAVING_SECONDS", 0.0)
    monkeypatch.setattr("vott_trainer.plugins.load", lambda _name: ToyLearner())
    job = LastReportFails("ns", "job", "uid", "https://nowhere")
    monkeypatch.setattr("vott_trainer.training.TrainingJobStatus.in_cluster", lambda *_args: job)
    server.always["/out"] = Answer(200)
    annotations = server.serve("/a.csv", f"{server.url}/1.png,1,1,10,10,cat\n".encode())
    urls = ["--annotations", annotations, "--model", f"{server.url}/out?token=x", "--trainingjob", "ns/job"]
    environment = {"VOTT_CHECKPOINTS": str(tmp_path / "kept"), "VOTT_WORK_DIR": str(tmp_path / "work")}
    environment |= {"TRAININGJOB_UID": "uid", **ALLOWED}
    monkeypatch.setattr("vott_trainer.training_run.DatasetFetch.dataset", lambda *_: training_data())
    settings = parse([*urls, "--parameters", json.dumps({"epochs": 1})], environment)
    with pytest.raises(TemporaryFailureError):
        training.train(settings)  # type: ignore[arg-type]
    assert (tmp_path / "kept" / "uid" / "index.json").exists()
    monkeypatch.setattr(LastReportFails, "send_until_accepted", lambda *_args: None)
    training.train(settings)  # type: ignore[arg-type]
    assert not (tmp_path / "kept" / "uid").exists()


def training_data() -> Dataset:
    """The toy learner has its own data."""
    return Dataset([], ["left", "right"])
