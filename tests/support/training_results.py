"""Training results for the report's tests: known predictions of a detector on generated images."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.support.annotated_images import image_with_shapes
from vott_trainer.annotations import Box
from vott_trainer.annotations.findings import Finding
from vott_trainer.plugin_api import Evaluation, Example, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.report import Result
from vott_trainer.vision import average_precision, matching
from vott_trainer.vision.calibration import detector_reliability
from vott_trainer.vision.confusion_matrix import class_metrics, confusion_matrix
from vott_trainer.vision.score_thresholds import score_thresholds

SECRET = "sv=2024&sig=SECRET"
SCALE = 4


def detection_result(
    folder: Path, labels: Sequence[str] = ("circle", "square", "triangle"), images: int = 12
) -> Result:
    """Result of a detector that misses the first object of every third image and misclassifies it in every fourth."""
    examples = [_example(folder, number, labels) for number in range(images)]
    precision = average_precision.average_precision([_measured(example, labels) for example in examples], labels)
    confusion = confusion_matrix(labels, examples)
    per_class = class_metrics(confusion, labels)
    thresholds = score_thresholds(precision.outcomes, labels)
    metrics = {"mAP50": precision.map50, "mAP": precision.map}
    evaluation = Evaluation(
        metrics,
        {label: precision.per_class[label] | per_class[label] | {"threshold": thresholds[label]} for label in labels},
        precision.curves,
        confusion,
        choose_examples(examples),
        thresholds,
        detector_reliability(precision.outcomes, thresholds),
    )
    history = [{"epoch": n, "loss": 2 / n, "classificationLoss": 1 / n, "learningRate": 1e-3} for n in range(1, 11)]
    return Result(
        plugin="detection",
        metrics=metrics,
        parameters={"epochs": 10, "initialWeights": f"https://store/models/old.tgz?{SECRET}"},
        settings={"architecture": "fcos_tiny", "epochs": 10, "batchSize": 8},
        device="CPU, 2 threads",
        labels=list(labels),
        counts={"trainingImages": 48, "heldOutImages": images, "boxes": dict.fromkeys(labels, 8 * images)},
        history=[row | ({"mAP50": 0.08 * row["epoch"]} if row["epoch"] % 2 == 0 else {}) for row in history],
        evaluation=evaluation,
        findings=[
            Finding("box", "https://store/images/1.png", "A box lies partly outside of the image; it was clipped."),
            Finding("line", "annotations.csv line 3", "expected 6 fields, found 2"),
        ],
        seconds={"images": 1.25, "training": 95.0},
        notes=["The training was interrupted and went on at epoch 3."],
        details={"onnx": {"file": None, "why": "the operator aten::unheard_of is not supported"}},
        trainer_version="0.1.0",
        trainingjob="vott-train/training-1",
    )


def _example(folder: Path, number: int, labels: Sequence[str]) -> Example:
    content, shapes = image_with_shapes(number)
    image = Image.open(io.BytesIO(content))
    image.resize((image.width * SCALE, image.height * SCALE)).save(path := folder / f"{number}.png")
    names = dict(zip(("circle", "square", "triangle"), labels, strict=False))
    boxes = [Box(SCALE * s.x, SCALE * s.y, SCALE * s.side, SCALE * s.side, names[s.label]) for s in shapes]
    truth = [Prediction(box.label, 1.0, box) for box in boxes]
    predicted = [Prediction(box.label, 0.9 - number / 100, box) for box in boxes]
    if number % 3 == 0:
        predicted = predicted[1:]
    elif number % 4 == 0:
        predicted[0] = Prediction(labels[(labels.index(boxes[0].label) + 1) % len(labels)], 0.7, boxes[0])
    return matching.example(path, f"https://store/images/{number}.png", truth, predicted)


def _measured(example: Example, labels: Sequence[str]) -> average_precision.Image:
    return average_precision.Image(640, 480, _objects(example.truth, labels), _objects(example.predictions, labels))


def _objects(predictions: Sequence[Prediction], labels: Sequence[str]) -> average_precision.Objects:
    boxes = [one.box for one in predictions if one.box]
    rows = [[box.x, box.y, box.width, box.height] for box in boxes]
    return average_precision.Objects(
        rows, [labels.index(one.label) + 1 for one in predictions], [one.score for one in predictions]
    )


def box(x: float, score: float = 1.0) -> Prediction:
    return Prediction("cat", score, Box(x, 0, 10, 10, "cat"))


def measured(folder: Path, truth: list[Prediction], predicted: list[Prediction]) -> Result:
    """The result of a detector measured on one image."""
    Image.new("RGB", (100, 80)).save(folder / "0.png")
    example = matching.example(folder / "0.png", "0.png", truth, predicted)
    confusion = confusion_matrix(["cat"], [example])
    per_class = class_metrics(confusion, ["cat"])
    evaluation = Evaluation({"mAP50": 1.0}, per_class, confusion=confusion, examples=[example])
    return Result("detection", evaluation.metrics, evaluation=evaluation)
