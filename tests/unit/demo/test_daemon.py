"""The daemon as the demo's consumer: its settings, and what its state folder says."""

import os
from pathlib import Path
from typing import Any

import pytest

from demo import daemon
from demo.daemon import Daemon, describe
from demo.errors import DemoError
from demo.progress import Step
from localcluster.azurite import connection_string
from vott_traind.records import Record
from vott_traind.settings import load_settings

STORAGE = connection_string("127.0.0.1", 10000, 10001)
PROGRESS = {"percent": 42, "epochCurrent": 4, "epochTotal": 10, "classificationLoss": 0.51234, "imagesPerSecond": 9.84}


def record(**fields: Any) -> Record:
    return Record(name="vott-1", queue="q", message_id="m", digest="d", started=0.0, **fields)


@pytest.mark.parametrize(
    ("known", "status", "expected"),
    [
        (record(), {}, Step("starting", "trainer: downloading annotations and images")),
        (record(), {"progress": None}, Step("starting", "trainer: downloading annotations and images")),
        (record(), {"progress": PROGRESS}, Step("training", "epoch 4/10  loss 0.512  9.8 images/s", 42)),
        (
            record(outcome="succeeded"),
            {"progress": PROGRESS},
            Step("complete", "the model is uploaded and verified"),
        ),
        (
            record(outcome="failed", reason="BadAnnotations", message="line 7"),
            {"progress": PROGRESS},
            Step("failed", "BadAnnotations: line 7"),
        ),
    ],
)
def test_every_state_has_a_description(known: Record, status: dict[str, Any], expected: Step) -> None:
    assert describe(known, status) == expected


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that runs instead of the daemon: it prints its variables and ends with 3."""
    package = tmp_path / "vott_traind"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import os, sys\nprint(*sorted(os.environ), flush=True)\nsys.exit(3)\n")
    monkeypatch.setattr(daemon, "PATHS", (tmp_path,))
    return tmp_path


def test_a_daemon_that_has_ended_fails_the_demo_with_the_end_of_its_log(program: Path) -> None:
    with Daemon(STORAGE, "training", "127.0.0.1", program / "traind.log") as started:
        started._process.wait()
        with pytest.raises(DemoError, match=r"(?s)exit code 3.*VOTT_TRAIN_CONFIG"):
            started.training("m")


def test_the_daemon_gets_no_credential_or_setting_of_the_user_but_the_weights(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_STORAGE_KEY", "VOTT_TRAIN_PLUGIN", "VOTT_WEIGHTS"):
        monkeypatch.setenv(name, "mine")
    with Daemon(STORAGE, "training", "127.0.0.1", program / "traind.log") as started:
        started._process.wait()
    names = (program / "traind.log").read_text().split()
    assert [name for name in names if name.startswith(("AZURE_", "VOTT_"))] == ["VOTT_TRAIN_CONFIG", "VOTT_WEIGHTS"]


def test_the_daemon_accepts_its_settings(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AZURE_", "VOTT_"))]:
        monkeypatch.delenv(name)
    with Daemon(STORAGE, "training", "127.0.0.1", program / "traind.log") as started:
        monkeypatch.setenv("VOTT_TRAIN_CONFIG", str(started._config))
        settings = load_settings()
        (queue,) = settings.queues
        assert queue.credentials_dir
        assert (queue.credentials_dir / "AZURE_STORAGE_CONNECTION_STRING").read_text() == STORAGE
    assert str(settings.outgoing) == "http and https, to 127.0.0.1/32"
    assert settings.trainer.termination_grace_period_seconds < daemon.STOP_SECONDS


def test_a_running_daemon_is_stopped_and_its_files_are_removed(program: Path) -> None:
    (program / "vott_traind" / "__main__.py").write_text("import time\ntime.sleep(600)\n")
    with Daemon(STORAGE, "training", "127.0.0.1", program / "traind.log") as started:
        assert started.training("m") is None
        assert started._folder.is_dir()
    assert started._process.returncode == -15
    assert not started._folder.exists()
