"""Object detection: a real training on small images, and its parts."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.annotated_images import image_with_shapes, serve_annotated
from tests.support.http_server import Answer, HttpServer
from vott_trainer.annotations import Box
from vott_trainer.data.split import split_images
from vott_trainer.errors import BadAnnotationsError, InvalidParametersError, NoUsableImagesError
from vott_trainer.learning import learn
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import Dataset, LabelledImage, Links, Trained
from vott_trainer.plugins.detection import Detection, DetectionParameters, load
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.detector_evaluation import evaluate
from vott_trainer.vision.detector_samples import Sample, Samples
from vott_trainer.vision.detectors import DETECTORS

CPU = torch.device("cpu")
QUICK = {"architecture": "fcos_tiny", "epochs": 10, "imageSize": 96, "batchSize": 4}


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    return [labelled(tmp_path / f"{number}.png", number) for number in range(10)]


def labelled(path: Path, seed: int) -> LabelledImage:
    content, shapes = image_with_shapes(seed)
    path.write_bytes(content)
    boxes = [Box(shape.x, shape.y, shape.side, shape.side, shape.label) for shape in shapes]
    return LabelledImage(f"https://store/{path.name}?sig=SECRET", path, boxes)


def train(
    annotations: str, folder: Path, parameters: Mapping[str, object]
) -> tuple[Trained, TrainingRun, list[Snapshot]]:
    reported: list[Snapshot] = []
    links, progress = (
        Links(annotations, "http://host/model", None),
        Progress(reported.append),
    )
    values = DetectionParameters.model_validate(parameters)
    run = TrainingRun(links, folder, progress, parameters=values)
    return learn(Detection(), run, values), run, reported


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, TrainingRun, list[Snapshot]]:
    """One short training that several tests look at."""
    with HttpServer() as server:
        return train(serve_annotated(server, 24), tmp_path_factory.mktemp("work"), QUICK)


Training = tuple[Trained, TrainingRun, list[Snapshot]]


def test_training_lowers_the_loss_and_finds_objects(training: Training) -> None:
    trained, _, _ = training
    history = trained.history
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert trained.metrics["mAP50"] > 0.2


def test_training_reports_every_step(training: Training) -> None:
    _, _, snapshots = training
    steps = [(s.epoch_current, s.step_current) for s in snapshots if s.step_current]
    assert list(dict.fromkeys(steps)) == [(epoch, step) for epoch in range(1, 11) for step in range(1, 6)]
    assert {(s.epoch_total, s.step_total) for s in snapshots if s.step_current} == {(10, 5)}
    assert all(s.classification_loss and s.images_per_second for s in snapshots if s.step_current)


def test_saved_model_measures_the_same_after_loading(training: Training) -> None:
    trained, run, _ = training
    (run.model_dir / "config.json").write_text(json.dumps(trained.config), encoding="utf-8")
    model, config = load(run.model_dir)
    held_out = split_images(run.dataset().images, 0.2)[1]
    again = evaluate(model, Samples(held_out, config["labels"], config["imageSize"]), config["labels"], CPU)
    assert again.metrics == pytest.approx(trained.metrics, abs=1e-6)


def test_model_is_left_with_its_labels_and_as_onnx(training: Training) -> None:
    _, run, _ = training
    assert (run.model_dir / "labels.txt").read_text(encoding="utf-8") == "circle\nsquare\ntriangle\n"
    assert (run.model_dir / "model.onnx").exists()


def test_prediction_is_in_pixels_of_the_image_and_best_first(training: Training, images: list[LabelledImage]) -> None:
    trained, run, _ = training
    (run.model_dir / "config.json").write_text(json.dumps(trained.config), encoding="utf-8")
    predictions = Detection().predict(run.model_dir, images[0].path)
    assert [p.score for p in predictions] == sorted((p.score for p in predictions), reverse=True)
    assert predictions
    for prediction in predictions:
        assert prediction.box
        assert 0 <= prediction.box.x <= prediction.box.x + prediction.box.width <= 160.5
        assert prediction.label in trained.config["labels"]


def test_same_seed_gives_the_same_model(server: HttpServer, tmp_path: Path) -> None:
    annotations = serve_annotated(server, 6)
    short = {"architecture": "fcos_tiny", "epochs": 2, "imageSize": 64, "batchSize": 4, "seed": 3}
    for name in ("one", "two"):
        train(annotations, tmp_path / name, short)
    one, two = ((tmp_path / name / "model/model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_one_image_with_objects_is_too_few(server: HttpServer, tmp_path: Path) -> None:
    with pytest.raises(NoUsableImagesError, match="Fewer than 2 images with objects"):
        train(serve_annotated(server, 1), tmp_path, QUICK)


def test_classes_of_whole_images_are_refused_before_an_image_is_downloaded(server: HttpServer, tmp_path: Path) -> None:
    lines = [f"{server.serve(f'/{number}.png', b'never asked for')},cat\n" for number in range(3)]
    with pytest.raises(BadAnnotationsError, match=r'classes of whole images, but no boxes.*"plugin": "classification"'):
        train(server.serve("/a.csv", "".join(lines).encode()), tmp_path, QUICK)
    assert not (tmp_path / "images").exists()


def test_annotations_are_downloaded_once_and_their_findings_kept(server: HttpServer, tmp_path: Path) -> None:
    lines = [f"{server.url}/{number}.png,1,2,3,4,cat\n" for number in range(12)]
    url = server.serve("/a.csv", "".join([*lines, "broken\n"]).encode())
    run = TrainingRun(Links(url, "http://host/model", None), tmp_path, Progress(lambda *_: None))
    assert run.annotations().findings == run.findings != []
    server.always["/a.csv"] = Answer(404)
    assert len(run.annotations().images) == 12


def test_boxes_that_all_lie_outside_are_bad_annotations(server: HttpServer, tmp_path: Path) -> None:
    urls = [server.serve(f"/{number}.png", image_with_shapes(number)[0]) for number in range(3)]
    annotations = server.serve("/a.csv", "".join(f"{url},5000,5000,10,10,cat\n" for url in urls).encode())
    with pytest.raises(BadAnnotationsError, match="outside"):
        train(annotations, tmp_path, QUICK)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_architecture_can_be_asked_for(name: str) -> None:
    assert DetectionParameters.model_validate({"architecture": name}).architecture == name


def test_unknown_architecture_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidParametersError, match="parameter 'architecture': input should be 'fcos_tiny', 'efficientnet_lite0_fpn'"
    ):
        validate(DetectionParameters, {"architecture": "yolo"})


def split(images: list[LabelledImage], mosaic: float = 0.0) -> tuple[Detection, list[Sample]]:
    """A plugin with these images, and those for training."""
    run = TrainingRun(Links("http://host/a", "http://host/m", None), images[0].path.parent / "work", Progress())
    run._dataset = Dataset(images, ["circle", "square", "triangle"])
    parameters = DetectionParameters.model_validate({"architecture": "fcos_tiny", "imageSize": 80, "mosaic": mosaic})
    return (plugin := Detection()), list(plugin.data(run, parameters).training)


def test_batch_is_one_tensor_with_the_boxes_of_each_image(images: list[LabelledImage]) -> None:
    plugin, samples = split(images)
    batch = plugin.batch(samples, [random.Random(seed) for seed in range(len(samples))])
    assert batch.images.shape == (len(samples), 3, 64, 96)
    assert (batch.images.dtype, batch.colors.shape) == (torch.uint8, (len(samples), 3, 4))
    for target in batch.targets:
        assert len(target["boxes"]) == len(target["labels"]) > 0
        assert target["boxes"].min() >= 0
        assert target["boxes"].max() <= 96


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_image_is_augmented_in_the_same_way_in_any_batch(mosaic: float, images: list[LabelledImage]) -> None:
    plugin, samples = split(images, mosaic)
    whole = plugin.batch(samples, [random.Random(seed) for seed in range(len(samples))])
    alone = plugin.batch(samples[2:3], [random.Random(2)])
    assert torch.equal(whole.images[2], alone.images[0])
    assert torch.equal(whole.colors[2], alone.colors[0])


def crowd(path: Path, objects: int) -> LabelledImage:
    """An image with so many circles, and two squares."""
    path.write_bytes(image_with_shapes(0)[0])
    boxes = [Box(number % 40 * 3.0, number // 40 * 3.0, 2.0, 2.0, "circle") for number in range(objects)]
    return LabelledImage(f"https://store/{path.name}?sig=SECRET", path, [*boxes, *[Box(99, 99, 9, 9, "square")] * 2])


class CountedLabel(str):
    """A class name that counts its comparisons with others."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedLabel.comparisons += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize(("objects", "limit"), [(20, 100), (148, 300)])
def test_detector_may_return_twice_as_many_objects_as_the_densest_image_has_and_as_loaded_too(
    objects: int, limit: int, images: list[LabelledImage], tmp_path: Path
) -> None:
    run = TrainingRun(Links("http://host/a", "http://host/m", None), tmp_path / "work", Progress())
    run._dataset = Dataset([*images, crowd(tmp_path / "crowd.png", objects)], ["circle", "square", "triangle"])
    parameters = DetectionParameters.model_validate({"architecture": "fcos_tiny", "imageSize": 64})
    data = (plugin := Detection()).data(run, parameters)
    assert data.counts["boxes"]["circle"] >= objects
    model = plugin.model(data, parameters)
    assert model.detections_per_img == limit
    config = {"labels": data.labels, **plugin.export(model, data, parameters, run.model_dir)}
    (run.model_dir / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load(run.model_dir)[0].detections_per_img == limit
    del config["maxDetections"]  # as in models of earlier versions
    (run.model_dir / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load(run.model_dir)[0].detections_per_img == 100


def test_report_says_if_an_image_has_more_objects_than_the_architecture_finds(
    images: list[LabelledImage], tmp_path: Path
) -> None:
    notes = []
    for objects in (298, 299):
        run = TrainingRun(Links("http://host/a", "http://host/m", None), tmp_path / "work", Progress())
        run._dataset = Dataset([*images, crowd(tmp_path / "crowd.png", objects)], ["circle", "square", "triangle"])
        parameters = {"architecture": "rf_detr_nano", "imageSize": 384, "initialWeights": "none"}
        Detection().data(run, DetectionParameters.model_validate(parameters))
        notes += [note for note in run.notes if "objects" in note]
    (note,) = notes
    assert "rf_detr_nano finds at most 300 objects on an image, but https://store/crowd.png has 301." in note


def test_boxes_are_counted_without_comparing_each_with_each_class(images: list[LabelledImage], tmp_path: Path) -> None:
    labels = [CountedLabel(f"class {number}") for number in range(300)]
    boxes = [Box(1, 1, 5, 5, label) for label in labels]
    many = [replace(image, boxes=boxes) for image in images]
    run = TrainingRun(Links("http://host/a", "http://host/m", None), tmp_path, Progress())
    run._dataset = Dataset(many, list(labels))
    CountedLabel.comparisons = 0
    data = Detection().data(run, DetectionParameters.model_validate({"architecture": "fcos_tiny", "imageSize": 64}))
    assert data.training[0].labels.tolist() == list(range(1, 301))
    assert CountedLabel.comparisons < 10 * len(labels)
