"""Interrupted for real: the trainer as a program, with its checkpoints beside the model in a real store, and on a disk that is full."""

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

IMAGES, EPOCHS = 12, 20  # 10 images to learn from, 3 steps an epoch
TIMEOUT = 300
KILLED_TRAINER = "tests.support.kill_during_save"
DETERMINISTIC = {"OMP_NUM_THREADS": "1"}


class Training:
    """One training, attempt after attempt."""

    def __init__(self, server: HttpServer, model: str, folder: Path, checkpoints: str, annotations: str) -> None:
        parameters = {"epochs": EPOCHS, "imageSize": 64, "batchSize": 4, "architecture": "fcos_tiny"}
        urls = ["--annotations", annotations, "--model", model, "--status", f"{server.url}/status"]
        self._arguments = trainer_command("--plugin", "detection", *urls, "--parameters", json.dumps(parameters))
        self.folder = folder
        path = f"{PYTHONPATH}:{CHECKOUT}"  # the checkout is for KILLED_TRAINER
        self._environment = trainer_environment(**DETERMINISTIC, VOTT_CHECKPOINTS=checkpoints) | {"PYTHONPATH": path}
        self.attempts = 0

    def begin(
        self, work_dir: Path | None = None, *, every_seconds: str = "0", kill_point: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Start another attempt, as a new pod would: in an empty folder, unless one is given.

        `kill_point` says where it is killed while it saves to a folder.
        """
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
        """What the last attempt printed."""
        return (self.folder / f"log-{self.attempts}").read_text(encoding="utf-8")

    @property
    def message(self) -> dict[str, str]:
        """The termination message of the last attempt."""
        told: dict[str, str] = json.loads((self.folder / "termination-log").read_text(encoding="utf-8"))
        return told

    def until(self, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait until the last attempt has printed `text`, or has ended."""
        end = time.monotonic() + TIMEOUT
        while text not in self.log and process.poll() is None:
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def complete(self) -> None:
        """Let the last attempt come to its end."""
        code = self.begin(every_seconds="3600").wait(TIMEOUT)
        assert code == 0, self.log


@pytest.fixture(scope="module")
def annotations() -> Iterator[tuple[HttpServer, str]]:
    """One set of images for all trainings: a checkpoint is of them."""
    with HttpServer() as running:
        yield running, serve_annotated(running, IMAGES)


@pytest.fixture
def training(
    annotations: tuple[HttpServer, str], account: AzuriteAccount, container: ContainerClient, tmp_path: Path
) -> Callable[..., Training]:
    server, url = annotations

    def make(model: str = "", checkpoints: str = "") -> Training:
        link = model or account.container_sas_url(container, permissions="rcwld")
        return Training(server, link, tmp_path, checkpoints, url)

    return make


def model_of(container: ContainerClient, folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The weights and the report that a training left."""
    model = download_model(container, folder)
    return load_file(model / "model.safetensors"), (model / "metrics.json").read_text()


@pytest.fixture(scope="module")
def uninterrupted(
    annotations: tuple[HttpServer, str], account: AzuriteAccount, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    server, url = annotations
    folder, container = tmp_path_factory.mktemp("uninterrupted"), account.create_container("uninterrupted")
    whole = Training(server, account.container_sas_url(container, permissions="rcwld"), folder, "", url)
    whole.complete()
    return model_of(container, folder)[0]


def is_that(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Float tolerance: threads may add up in another order."""
    return all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in other)


def test_sigterm_saves_beside_the_model_and_the_next_attempt_ends_with_the_same_weights(
    training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    made = training()
    first = made.begin(every_seconds="3600")
    made.until(f"epoch 3/{EPOCHS}", first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT) == 143, made.log
    assert any(".checkpoints/" in name for name in blob_names(container)), made.log
    made.complete()
    assert "resumed from epoch" in made.log
    weights, metrics = model_of(container, tmp_path)
    assert is_that(weights, uninterrupted)
    assert "resumed from epoch" in metrics
    assert set(blob_names(container)) == {"model.tgz", "report.html"}


def test_killed_again_and_again_a_training_ends_with_the_same_weights(
    training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    made, rng = training(checkpoints=str(tmp_path / "volume")), random.Random(20)
    for _ in range(3):
        attempt = made.begin()
        made.until("checkpoint at epoch", attempt)
        time.sleep(rng.uniform(0, 0.5))
        attempt.kill()
        assert attempt.wait(TIMEOUT) == -signal.SIGKILL, made.log
    made.complete()
    assert "resumed from epoch" in made.log
    weights, _ = model_of(container, tmp_path)
    assert is_that(weights, uninterrupted)
    assert [path for path in (tmp_path / "volume").rglob("*") if path.is_file()] == []


def test_training_killed_at_each_point_of_a_save_ends_with_the_same_weights(
    training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    made = training(checkpoints=str(tmp_path / "volume"))
    for kill_point in (7, 2, 9, 4, 11, 6):  # before, within and after the slot and the index
        assert made.begin(kill_point=kill_point).wait(TIMEOUT) == -signal.SIGKILL, made.log
        assert ("Resuming" in made.log or "resumed from epoch" in made.log) is (made.attempts > 1), made.log
    made.complete()
    assert "resumed from epoch" in made.log
    weights, _ = model_of(container, tmp_path)
    assert is_that(weights, uninterrupted)


def test_a_write_only_link_begins_anew_and_says_so(
    training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    account: AzuriteAccount,
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    made = training(account.blob_sas_url(container, "model.tgz"))
    first = made.begin()
    made.until(f"epoch 2/{EPOCHS}", first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT) == 143, made.log
    assert "starts over" in made.log
    made.complete()
    weights, metrics = model_of(container, tmp_path)
    assert is_that(weights, uninterrupted)
    assert "No checkpoints were kept" in metrics


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that the images fill nearly up."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_ends_the_training_with_its_name_and_remedy(
    training: Callable[..., Training], small_disk: Path
) -> None:
    made = training()
    assert made.begin(small_disk / "work").wait(TIMEOUT) == 75, made.log
    assert made.message["reason"] == "DiskFull"
    assert "Raise trainer.workVolume" in made.message["message"]


def test_a_full_place_for_checkpoints_costs_no_training(
    training: Callable[..., Training],
    uninterrupted: dict[str, torch.Tensor],
    small_disk: Path,
    container: ContainerClient,
    tmp_path: Path,
) -> None:
    made = training(checkpoints=str(small_disk))
    assert made.begin().wait(TIMEOUT) == 0, made.log
    assert "training continues: " in made.log
    weights, _ = model_of(container, tmp_path)
    assert is_that(weights, uninterrupted)
