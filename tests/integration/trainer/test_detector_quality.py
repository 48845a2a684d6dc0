"""Quality of the default detector: its uploaded model on unseen images, measured by another library.

test_classification.py does the same for a classifier.
"""

import json
from pathlib import Path

import pytest
import torch
from azure.storage.blob import ContainerClient
from torchmetrics.detection import MeanAveragePrecision

from demo.shapes import CLASSES, annotated_images
from tests.integration.trainer.model_archives import download_model
from tests.support import cpu_budget
from tests.support.azurite_account import AzuriteAccount
from tests.support.http_server import HttpServer
from tests.support.trainer_process import run_trainer
from vott_trainer.plugins.detection import load
from vott_trainer.vision.detector_evaluation import detect
from vott_trainer.vision.detector_samples import load_pixels

IMAGES, UNSEEN = 48, 40
CPU = torch.device("cpu")


def serve_demo_dataset(server: HttpServer) -> str:
    """Serve the demo's images and annotations; return the URL of the annotations."""
    lines = []
    for image in annotated_images(IMAGES):
        url = server.serve(f"/{image.name}", image.jpeg)
        lines += [f"{url},{box.x},{box.y},{box.width},{box.height},{box.label}" for box in image.boxes]
    return server.serve("/annotations.csv", "\n".join(lines).encode())


def test_default_detector_reaches_map50_of_0_9_on_unseen_images_after_12_epochs(
    server: HttpServer,
    account: AzuriteAccount,
    container: ContainerClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    minutes_before = cpu_budget.children_cpu_minutes()
    arguments = ["--annotations", serve_demo_dataset(server), "--model", account.container_sas_url(container)]
    process = run_trainer(*arguments, "--parameters", json.dumps({"epochs": 12, "imageSize": 192}))
    minutes = cpu_budget.children_cpu_minutes() - minutes_before
    assert process.returncode == 0, process.stdout + process.stderr
    model, config = load(download_model(container, tmp_path))
    with capsys.disabled():
        print(cpu_budget.compare_with_budget(config["architecture"], minutes))
    assert config["labels"] == sorted(CLASSES)
    metric = MeanAveragePrecision(backend="faster_coco_eval")
    for image in annotated_images(UNSEEN, seed=2):
        path = tmp_path / image.name
        path.write_bytes(image.jpeg)
        pixels, scale = load_pixels(path, config["imageSize"])
        found = detect(model, pixels, CPU)
        boxes = torch.tensor([[b.x, b.y, b.x + b.width, b.y + b.height] for b in image.boxes], dtype=torch.float32)
        labels = torch.tensor([config["labels"].index(box.label) + 1 for box in image.boxes])
        metric.update(
            [found | {"boxes": found["boxes"] / torch.tensor(scale * 2)}], [{"boxes": boxes, "labels": labels}]
        )
    assert float(metric.compute()["map_50"]) >= 0.9
    held_out = json.loads((tmp_path / "model" / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert held_out["mAP50"] >= 0.9
