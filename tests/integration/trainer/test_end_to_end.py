"""The trainer as a program: a training from the annotation file to the model in the store, without Kubernetes."""

import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from PIL import Image

from tests.integration.trainer.conftest import Store, command, environment, trainer
from tests.support.annotated_images import serve_annotated
from tests.support.http_server import HttpServer
from tests.support.trainer_process import CHECKOUT

SIX_FIELDS = {"progress", "epoch_current", "epoch_total", "step_current", "step_total", "classification_loss"}


def arguments(server: HttpServer, link: str, plugin: str, annotations: str, **parameters: object) -> list[str]:
    urls = ["--annotations", annotations, "--model", link, "--status", f"{server.url}/status"]
    return ["--plugin", plugin, *urls, "--parameters", json.dumps(parameters)]


def unpacked(container: ContainerClient, folder: Path) -> Path:
    archive = folder / "model.tgz"
    archive.write_bytes(container.download_blob("model.tgz").readall())
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "model", filter="data")
    return folder / "model"


def test_hello_world_ends_with_a_model_and_a_callback_that_says_so(
    server: HttpServer, store: Store, container: ContainerClient, tmp_path: Path
) -> None:
    link = store.container_link(container)
    ended = trainer(*arguments(server, link, "hello-world", serve_annotated(server, 3), stepSeconds=0.01))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (unpacked(container, tmp_path) / "hello.json").exists()
    posts = server.bodies("/status")
    assert all(set(post) >= SIX_FIELDS for post in posts)
    assert (posts[-1]["state"], posts[-1]["progress"]) == ("succeeded", 1.0)
    assert [post["progress"] for post in posts] == sorted(post["progress"] for post in posts)


def test_hello_world_does_not_wait_for_torch(server: HttpServer, store: Store, container: ContainerClient) -> None:
    program = "import sys; from vott_trainer.__main__ import main; code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    link = store.container_link(container)
    given = arguments(server, link, "hello-world", serve_annotated(server, 1), epochs=1, stepSeconds=0)
    ended = subprocess.run([sys.executable, "-c", program, *given], env=environment(), cwd=CHECKOUT, check=False)
    assert ended.returncode == 0


def test_detection_ends_with_a_model_that_predicts(
    server: HttpServer, store: Store, container: ContainerClient, tmp_path: Path
) -> None:
    link = store.container_link(container)
    ended = trainer(
        *arguments(server, link, "detection", serve_annotated(server, 24), epochs=12, imageSize=96),
        TMPDIR=str(tmp_path),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    model = unpacked(container, tmp_path)
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
    given = ["--model", f"{folder}/model.tgz", "--image", f"{folder}/image.png", "--out", f"{folder}/drawn.jpg"]
    ended = trainer("predict", *given)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with Image.open(folder / "drawn.jpg") as drawn:
        assert drawn.size == (160, 120)


def test_refused_callback_is_said_once_and_stops_no_training(
    server: HttpServer, store: Store, container: ContainerClient
) -> None:
    urls = ["--annotations", serve_annotated(server, 1), "--model", store.container_link(container)]
    ended = trainer("--plugin", "hello-world", *urls, "--status", "http://169.254.169.254/?token=SECRET")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    words = "the callback gets no more reports: 169.254.169.254 is refused: that address is link-local"
    assert ended.stdout.count(words) == 1
    assert "SECRET" not in ended.stdout + ended.stderr


def test_output_shows_no_credential(server: HttpServer, store: Store, container: ContainerClient) -> None:
    server.serve("/bad.jpg", b"no image")
    annotations = serve_annotated(server, 2)
    ended = trainer(
        *arguments(server, store.container_link(container), "hello-world", f"{annotations}?sig=SECRET", stepSeconds=0)
    )
    assert ended.returncode == 0
    assert "sig=" not in ended.stdout + ended.stderr
    assert f"model uploaded: {container.url}/model.tgz" in ended.stdout


@pytest.mark.parametrize("plugin", ["hello-world", "detection"])
def test_sigterm_ends_the_trainer_at_once_with_143(
    plugin: str, server: HttpServer, store: Store, container: ContainerClient
) -> None:
    endless = {"epochs": 1000, "imageSize": 64} if plugin == "detection" else {"epochs": 1000, "stepSeconds": 60}
    given = arguments(server, store.container_link(container), plugin, serve_annotated(server, 8), **endless)
    with subprocess.Popen(command(*given), env=environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "annotated images" in line:
                break
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 143
