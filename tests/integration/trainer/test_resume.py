"""Interrupted training of the trainer as a program: SIGTERM, SIGKILL and a full disk, with checkpoints beside the model or in a folder."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from azure.storage.blob import ContainerClient
from safetensors.torch import load_file

from tests.integration.trainer.model_archives import download_model
from tests.support.annotated_images import serve_annotated
from tests.support.azurite_account import AzuriteAccount, blob_names
from tests.support.http_server import HttpServer
from tests.support.trainer_process import CHECKOUT, PYTHONPATH, trainer_command, trainer_environment

IMAGES, EPOCHS = 12, 20  # 10 training images, 3 steps an epoch
TIMEOUT = 300
KILLED_TRAINER = "tests.support.kill_during_save"
DETERMINISTIC = {"OMP_NUM_THREADS": "1"}


class Training:
    """One training in several attempts."""

    def __init__(self, server: HttpServer, model: str, folder: Path, checkpoints: str, annotations: str) -> None:
        parameters = {"epochs": EPOCHS, "imageSize": 64, "batchSize": 4, "architecture": "fcos_tiny"}
        urls = ["--annotations", annotations, "--model", model, "--status", f"{server.url}/status"]
        self._arguments = trainer_command("--plugin", "detection", *urls, "--parameters", json.dumps(parameters))
        self.folder = folder
        path = f"{PYTHONPATH}:{CHECKOUT}"  # the checkout is for KILLED_TRAINER
        self._environment = trainer_environment(**DETERMINISTIC, VOTT_CHECKPOINTS=checkpoints) | {"PYTHONPATH": path}
        self.attempts = 0

    def start(
        self, work_dir: Path | None = None, *, every_seconds: str = "0", kill_point: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Start another attempt as a new pod would, by default in an empty folder; `kill_point` kills it while it saves."""
        module = self._arguments.index("vott_trainer")
        killed = [*self._arguments[:module], KILLED_TRAINER, str(kill_point), *self._arguments[module + 1 :]]
        self.attempts += 1
        work_dir = work_dir or self.folder / f"work-{self.attempts}"
        variables = {"VOTT_WORK_DIR": str(work_dir), "VOTT_CHECKPOINT_SECONDS": every_seconds}
        variables["VOTT_TERMINATION_LOG"] = str(self.folder / "termination-log")
        (self.folder / "termination-log").touch()
        with (self.folder / f"log-{self.attempts}").open("wb") as log:
            return subprocess.Popen(
                killed if kill_point else self._arguments,
                env=self._environment | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """The output of the last attempt."""
        return (self.folder / f"log-{self.attempts}").read_text(encoding="utf-8")

    @property
    def message(self) -> dict[str, str]:
        """The termination message of the last attempt."""
        message: dict[str, str] = json.loads((self.folder / "termination-log").read_text(encoding="utf-8"))
        return message

    def wait_for_log(self, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait until the last attempt has logged `text`, or has ended."""
        end = time.monotonic() + TIMEOUT
        while text not in self.log and process.poll() is None:
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def complete(self) -> None:
        """Run another attempt until it succeeds."""
        code = self.start(every_seconds="3600").wait(TIMEOUT)
        assert code == 0, self.log


@pytest.fixture(scope="module")
def annotations() -> Iterator[tuple[HttpServer, str]]:
    """The server, and the URL of the annotations that all trainings share; checkpoints are valid only for the same images."""
    with HttpServer() as running:
        yield running, serve_annotated(running, IMAGES)


@pytest.fixture
def new_training(
    annotations: tuple[HttpServer, str], account: AzuriteAccount, container: ContainerClient, tmp_path: Path
) -> Callable[..., Training]:
    server, url = annotations

    def make(model: str = "", checkpoints: str = "") -> Training:
        model_url = model or account.container_sas_url(container, permissions="rcwld")
        return Training(server, model_url, tmp_path, checkpoints, url)

    return make


def weights_and_metrics(container: ContainerClient, folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The uploaded weights and the text of metrics.json."""
    model = download_model(container, folder)
    return load_file(model / "model.safetensors"), (model / "metrics.json").read_text()


@pytest.fixture(scope="module")
def uninterrupted(
    annotations: tuple[HttpServer, str], account: AzuriteAccount, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    server, url = annotations
    folder, container = tmp_path_factory.mktemp("uninterrupted"), account.create_container("uninterrupted")
    training = Training(server, account.container_sas_url(container, permissions="rcwld"), folder, "", url)
    training.complete()
    return weights_and_metrics(container, folder)[0]


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether the weights are equal within the tolerance of another order of additions."""
    return all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in other)


def test_training_resumed_after_sigterm_ends_with_the_same_weights(
    new_training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    training = new_training()
    first = training.start(every_seconds="3600")
    training.wait_for_log(f"epoch 3/{EPOCHS}", first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT) == 143, training.log
    assert any(".checkpoints/" in name for name in blob_names(container)), training.log
    training.complete()
    assert "resumed from epoch" in training.log
    weights, metrics = weights_and_metrics(container, tmp_path)
    assert close(weights, uninterrupted)
    assert "resumed from epoch" in metrics
    assert set(blob_names(container)) == {"model.tgz", "report.html"}


def test_training_killed_several_times_ends_with_the_same_weights(
    new_training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    training, rng = new_training(checkpoints=str(tmp_path / "volume")), random.Random(20)
    for _ in range(3):
        attempt = training.start()
        training.wait_for_log("checkpoint at epoch", attempt)
        time.sleep(rng.uniform(0, 0.5))
        attempt.kill()
        assert attempt.wait(TIMEOUT) == -signal.SIGKILL, training.log
    training.complete()
    assert "resumed from epoch" in training.log
    weights, _ = weights_and_metrics(container, tmp_path)
    assert close(weights, uninterrupted)
    assert [path for path in (tmp_path / "volume").rglob("*") if path.is_file()] == []


def test_training_killed_at_each_point_of_a_save_ends_with_the_same_weights(
    new_training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    training = new_training(checkpoints=str(tmp_path / "volume"))
    for kill_point in (7, 2, 9, 4, 11, 6):  # before, within and after the slot and the index
        assert training.start(kill_point=kill_point).wait(TIMEOUT) == -signal.SIGKILL, training.log
        assert ("Resuming" in training.log or "resumed from epoch" in training.log) is (training.attempts > 1), (
            training.log
        )
    training.complete()
    assert "resumed from epoch" in training.log
    weights, _ = weights_and_metrics(container, tmp_path)
    assert close(weights, uninterrupted)


def test_training_with_a_write_only_url_starts_over_and_reports_it(
    new_training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    account: AzuriteAccount,
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    training = new_training(account.blob_sas_url(container, "model.tgz"))
    first = training.start()
    training.wait_for_log(f"epoch 2/{EPOCHS}", first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT) == 143, training.log
    assert "starts over" in training.log
    training.complete()
    weights, metrics = weights_and_metrics(container, tmp_path)
    assert close(weights, uninterrupted)
    assert "No checkpoints were kept" in metrics


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system, which the images almost fill."""
    mount_point = tmp_path / "small"
    mount_point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount_point)], check=True)
    yield mount_point
    subprocess.run(["umount", "--lazy", str(mount_point)], check=True)


def test_full_disk_ends_the_training_and_names_the_remedy(
    new_training: Callable[..., Training], small_disk: Path
) -> None:
    training = new_training()
    assert training.start(small_disk / "work").wait(TIMEOUT) == 75, training.log
    assert training.message["reason"] == "DiskFull"
    assert "(`trainer.workVolume` in the chart's values, or a larger disk)" in training.message["message"]


def test_training_succeeds_when_the_checkpoint_folder_is_full(
    new_training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    small_disk: Path,
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    training = new_training(checkpoints=str(small_disk))
    assert training.start().wait(TIMEOUT) == 0, training.log
    assert "training continues: " in training.log
    weights, _ = weights_and_metrics(container, tmp_path)
    assert close(weights, uninterrupted)
