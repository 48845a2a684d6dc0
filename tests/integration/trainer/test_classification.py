"""Classification: training on small images, and its parts.

The first tests load the model that the trainer uploaded and measure it on unseen images with another library.
"""

import json
import threading
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy

from tests.integration.trainer.model_archives import download_model
from tests.support import cpu_budget
from tests.support.annotated_images import one_shape, serve_annotated, serve_classified
from tests.support.azurite_account import AzuriteAccount
from tests.support.http_server import HttpServer
from tests.support.trainer_process import run_trainer
from vott_trainer.errors import BadAnnotationsError, InvalidParametersError, NoUsableImagesError
from vott_trainer.learning.learn import learn
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import Dataset, LabelledImage, Links, Trained
from vott_trainer.plugins.classification import (
    EVALUATION_BATCH,
    Classification,
    ClassificationParameters,
    load,
    scores,
)
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.classifier_samples import Crop, View
from vott_trainer.vision.classifiers import CLASSIFIERS, LiteClassifier, build
from vott_trainer.vision.crops import load_square
from vott_trainer.vision.initial_data import InitialData

CPU = torch.device("cpu")


def train(annotations: str, folder: Path, **parameters: object) -> tuple[Trained, TrainingRun]:
    values = validate(ClassificationParameters, parameters)
    run = TrainingRun(Links(annotations, "", None), folder, Progress(), parameters=values)
    trained = learn(Classification(), run, values)  # type: ignore[arg-type]
    (run.model_dir / "config.json").write_text(json.dumps(trained.config))
    return trained, run


@dataclass(frozen=True)
class UploadedModel:
    """An unpacked model, and the CPU minutes of its training."""

    folder: Path
    minutes: float

    def read_json(self, name: str) -> dict[str, Any]:
        """One of its JSON files."""
        content: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return content


@pytest.fixture(scope="module")
def uploaded(account: AzuriteAccount, tmp_path_factory: pytest.TempPathFactory) -> UploadedModel:
    """The model of a training with default parameters but fewer epochs."""
    container = account.create_container(f"models-{uuid.uuid4().hex}")
    minutes_before = cpu_budget.children_cpu_minutes()
    with HttpServer() as server:
        urls = ["--annotations", serve_classified(server, 150), "--model", account.container_sas_url(container)]
        process = run_trainer("--plugin", "classification", *urls, "--parameters", '{"epochs": 8}')
    minutes = cpu_budget.children_cpu_minutes() - minutes_before
    assert process.returncode == 0, process.stdout + process.stderr
    return UploadedModel(download_model(container, tmp_path_factory.mktemp("uploaded")), minutes)


def test_three_shapes_are_classified(uploaded: UploadedModel) -> None:
    assert uploaded.read_json("metrics.json")["metrics"]["accuracy"] >= 0.95


def test_uploaded_model_is_accurate_on_unseen_images(
    uploaded: UploadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, config = load(uploaded.folder)
    with capsys.disabled():
        print(cpu_budget.compare_with_budget(config["architecture"], uploaded.minutes))
    metric = MulticlassAccuracy(num_classes=len(config["labels"]), average="micro")
    for seed in range(1000, 1100):
        content, label = one_shape(seed)
        (tmp_path / "image.png").write_bytes(content)
        pixels = load_square(tmp_path / "image.png", config["imageSize"])
        metric.update(scores(model, pixels[None], CPU), torch.tensor([config["labels"].index(label)]))
    assert float(metric.compute()) >= 0.95


def test_prediction_lists_all_classes_by_probability(uploaded: UploadedModel, tmp_path: Path) -> None:
    correct, plugin = 0, Classification()
    for seed in range(1000, 1020):
        content, label = one_shape(seed)
        (tmp_path / "image.png").write_bytes(content)
        best, *others = plugin.predict(uploaded.folder, tmp_path / "image.png")
        correct += best.label == label
        assert len(others) == 2
        assert best.box is None
        assert best.score + sum(other.score for other in others) == pytest.approx(1)
    assert correct >= 18


def test_files_of_the_model_describe_it(uploaded: UploadedModel) -> None:
    assert (uploaded.folder / "labels.txt").read_text() == "circle\nsquare\ntriangle\n"
    config = uploaded.read_json("config.json")
    assert config["architecture"] == "efficientnet_lite0"
    assert isinstance(load(uploaded.folder)[0], LiteClassifier)
    assert config["onnx"]["file"] == "model.onnx"
    assert (uploaded.folder / "model.onnx").exists()


def test_metrics_count_the_images_of_each_class(uploaded: UploadedModel) -> None:
    counts = uploaded.read_json("metrics.json")["counts"]
    assert counts["images"] == {"circle": 50, "square": 50, "triangle": 50}
    assert counts["trainingImages"] + counts["heldOutImages"] == 150
    assert 25 <= counts["heldOutImages"] <= 40, "about a fifth"


def test_boxes_are_classified_if_images_have_no_class(server: HttpServer, tmp_path: Path) -> None:
    result, _ = train(serve_annotated(server, 30), tmp_path, epochs=12, imageSize=48)
    assert result.details["counts"]["trainingImages"] + result.details["counts"]["heldOutImages"] == 60
    assert result.metrics["accuracy"] > 0.8
    assert result.evaluation
    assert all(example.truth[0].box for example in result.evaluation.examples)


@pytest.mark.parametrize("kind", ["boxes", "images"])
def test_kind_without_annotations_is_refused(kind: str, server: HttpServer, tmp_path: Path) -> None:
    url = serve_classified(server, 4) if kind == "boxes" else serve_annotated(server, 4)
    with pytest.raises(BadAnnotationsError, match=r"No (box|image) has a class"):
        train(url, tmp_path, classify=kind)


def test_single_class_is_refused(server: HttpServer, tmp_path: Path) -> None:
    lines = [f"{server.serve(f'/{n}.png', one_shape(n)[0])},thing" for n in range(3)]
    with pytest.raises(BadAnnotationsError, match="All images have the class 'thing'"):
        train(server.serve("/annotations.csv", "\n".join(lines).encode()), tmp_path)


def test_one_image_of_each_class_is_refused(server: HttpServer, tmp_path: Path) -> None:
    with pytest.raises(NoUsableImagesError, match="only one image of each class"):
        train(serve_classified(server, 3), tmp_path)


def test_error_for_an_unknown_architecture_lists_all() -> None:
    with pytest.raises(InvalidParametersError, match=r"resnet_tiny.*efficientnet_b0"):
        validate(ClassificationParameters, {"architecture": "vgg"})


def test_defaults_depend_on_device_and_number_of_images() -> None:
    images = [LabelledImage(f"https://store/{number}.png", Path("a.png"), [], "cat") for number in range(60)]
    resolved = ClassificationParameters().resolved(Dataset(images, ["cat"]), CPU)
    assert (resolved.architecture, resolved.epochs, resolved.batch_size, resolved.image_size) == (
        "efficientnet_lite0",
        67,
        16,
        224,
    )
    assert ClassificationParameters().resolved(Dataset(images * 1000, ["cat"]), CPU).epochs == 8


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_architecture_scores_every_class(name: str) -> None:
    model = build(name, 5)
    probabilities = scores(model, torch.zeros(2, 3, 64, 64, dtype=torch.uint8), CPU)
    assert probabilities.shape == (2, 5)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1])
    heads = CLASSIFIERS[name].heads
    assert {tensor.shape[0] for key, tensor in model.state_dict().items() if key.startswith(heads[0].prefix)} == {5}


class SmallMemory(torch.nn.Module):
    """Scores images by their brightness; more than `max_images` at once raise OutOfMemoryError."""

    def __init__(self, max_images: int) -> None:
        super().__init__()
        self.max_images = max_images

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.max_images:
            raise torch.OutOfMemoryError
        bright = images.mean(dim=(1, 2, 3))
        return torch.stack((bright, 1 - bright), dim=1)


def test_batch_is_split_when_gpu_memory_runs_out_with_the_same_scores() -> None:
    images = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(scores(SmallMemory(2), images, CPU), scores(SmallMemory(7), images, CPU))
    with pytest.raises(torch.OutOfMemoryError):
        scores(SmallMemory(0), images, CPU)


class CountedCrops(Sequence[Crop]):
    """Crops that are created on access and counted while their pixels are in memory."""

    def __init__(self, length: int) -> None:
        self.length, self.in_memory, self.peak = length, 0, 0
        self.views = [View(LabelledImage(f"https://store/{n}.png", Path(f"{n}.png"), []), "a") for n in range(length)]
        self.threads = set[int]()
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Crop:  # type: ignore[override] # no slices
        if not 0 <= index < self.length:
            raise IndexError(index)
        pixels = torch.full((3, 8, 8), index % 256, dtype=torch.uint8)
        with self.lock:
            self.threads.add(threading.get_ident())
            self.in_memory += 1
            self.peak = max(self.peak, self.in_memory)
        weakref.finalize(pixels, self.released)
        return Crop(self.views[index], pixels, index % 2)

    def released(self) -> None:
        with self.lock:
            self.in_memory -= 1


def test_held_out_images_are_decoded_in_threads_and_never_all_in_memory() -> None:
    crops = CountedCrops(10 * EVALUATION_BATCH + 1)
    data = InitialData(crops, crops, ["a", "b"], {})
    evaluation = Classification().evaluate(SmallMemory(EVALUATION_BATCH), data, CPU)
    assert evaluation.confusion
    assert sum(map(sum, evaluation.confusion.counts)) == len(crops)
    assert crops.peak <= 3 * EVALUATION_BATCH
    assert threading.get_ident() not in crops.threads
