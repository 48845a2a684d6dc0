"""The trainer as a program without Kubernetes: from the annotation file to the uploaded model."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from PIL import Image

from tests.integration.trainer.model_archives import download_model
from tests.support.annotated_images import serve_annotated
from tests.support.azurite_account import AzuriteAccount
from tests.support.http_server import HttpServer
from tests.support.trainer_process import CHECKOUT, run_trainer, trainer_command, trainer_environment
from vott_trainer.progress.report_interval import SECONDS

PROGRESS_FIELDS = {"progress", "epoch_current", "epoch_total", "step_current", "step_total", "classification_loss"}


def arguments(server: HttpServer, model_url: str, plugin: str, annotations: str, **parameters: object) -> list[str]:
    urls = ["--annotations", annotations, "--model", model_url, "--status", f"{server.url}/status"]
    return ["--plugin", plugin, *urls, "--parameters", json.dumps(parameters)]


def test_hello_world_uploads_a_model_and_reports_success(
    server: HttpServer, account: AzuriteAccount, container: ContainerClient, tmp_path: Path
) -> None:
    model_url = account.container_sas_url(container)
    process = run_trainer(*arguments(server, model_url, "hello-world", serve_annotated(server, 3), stepSeconds=0.01))
    assert process.returncode == 0, process.stdout + process.stderr
    assert (download_model(container, tmp_path) / "hello.json").exists()
    posts = server.bodies("/status")
    assert all(set(post) >= PROGRESS_FIELDS for post in posts)
    assert (posts[-1]["state"], posts[-1]["progress"]) == ("succeeded", 1.0)
    assert [post["progress"] for post in posts] == sorted(post["progress"] for post in posts)


def test_short_epochs_are_posted_at_most_every_two_seconds_and_the_last_always(
    server: HttpServer, account: AzuriteAccount, container: ContainerClient
) -> None:
    model_url = account.container_sas_url(container)
    options = arguments(
        server, model_url, "hello-world", serve_annotated(server, 1), epochs=170, steps=1, stepSeconds=0.02
    )
    started = time.monotonic()
    process = run_trainer(*options)
    elapsed = time.monotonic() - started
    assert process.returncode == 0, process.stdout + process.stderr
    *progress, last, outcome = server.bodies("/status")
    assert len(progress) <= elapsed / SECONDS + 1
    assert (last["epoch_current"], last["message"]) == (170, "Uploading the model")
    assert (outcome["state"], outcome["progress"]) == ("succeeded", 1.0)


def test_hello_world_does_not_import_torch(
    server: HttpServer, account: AzuriteAccount, container: ContainerClient
) -> None:
    program = "import sys; from vott_trainer.__main__ import main; code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    model_url = account.container_sas_url(container)
    options = arguments(server, model_url, "hello-world", serve_annotated(server, 1), epochs=1, stepSeconds=0)
    process = subprocess.run(
        [sys.executable, "-c", program, *options], env=trainer_environment(), cwd=CHECKOUT, check=False
    )
    assert process.returncode == 0


def test_detection_uploads_a_model_that_predicts(
    server: HttpServer, account: AzuriteAccount, container: ContainerClient, tmp_path: Path
) -> None:
    model_url = account.container_sas_url(container)
    process = run_trainer(
        *arguments(server, model_url, "detection", serve_annotated(server, 24), epochs=12, imageSize=96),
        TMPDIR=str(tmp_path),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    model = download_model(container, tmp_path)
    assert {path.name for path in model.iterdir()} == {
        "model.safetensors", "model.onnx", "labels.txt", "metrics.json", "config.json", "sample.jpg", "report.html", "README.md", "tensorboard",
    }  # fmt: skip
    metrics = json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["metrics"]["mAP50"] > 0.2
    assert metrics["counts"]["trainingImages"] + metrics["counts"]["heldOutImages"] == 24
    assert set(metrics["seconds"]) == {
        "annotations", "images", "checkingData", "preparingImages", "waitingForImages", "training", "evaluation",
    }  # fmt: skip
    _check_prediction(tmp_path, server.files["/images/1.png"])


def _check_prediction(folder: Path, image: bytes) -> None:
    (folder / "image.png").write_bytes(image)
    options = ["--model", f"{folder}/model.tgz", "--image", f"{folder}/image.png", "--out", f"{folder}/drawn.jpg"]
    process = run_trainer("predict", *options)
    assert process.returncode == 0, process.stdout + process.stderr
    with Image.open(folder / "drawn.jpg") as drawing:
        assert drawing.size == (160, 120)


def test_refused_callback_is_logged_once_and_does_not_stop_the_training(
    server: HttpServer, account: AzuriteAccount, container: ContainerClient
) -> None:
    urls = ["--annotations", serve_annotated(server, 1), "--model", account.container_sas_url(container)]
    process = run_trainer("--plugin", "hello-world", *urls, "--status", "http://169.254.169.254/?token=SECRET")
    assert process.returncode == 0, process.stdout + process.stderr
    warning = "the callback gets no more reports: 169.254.169.254 is refused: that address is link-local"
    assert process.stdout.count(warning) == 1
    assert "SECRET" not in process.stdout + process.stderr


def test_output_shows_no_credential(server: HttpServer, account: AzuriteAccount, container: ContainerClient) -> None:
    server.serve("/bad.jpg", b"no image")
    annotations = serve_annotated(server, 2)
    process = run_trainer(
        *arguments(
            server, account.container_sas_url(container), "hello-world", f"{annotations}?sig=SECRET", stepSeconds=0
        )
    )
    assert process.returncode == 0
    assert "sig=" not in process.stdout + process.stderr
    assert f"model uploaded: {container.url}/model.tgz" in process.stdout


@pytest.mark.parametrize("plugin", ["hello-world", "detection"])
def test_sigterm_ends_the_trainer_immediately_with_exit_code_143(
    plugin: str, server: HttpServer, account: AzuriteAccount, container: ContainerClient
) -> None:
    endless = {"epochs": 1000, "imageSize": 64} if plugin == "detection" else {"epochs": 1000, "stepSeconds": 60}
    options = arguments(server, account.container_sas_url(container), plugin, serve_annotated(server, 8), **endless)
    with subprocess.Popen(
        trainer_command(*options), env=trainer_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "annotated images" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
