"""Detector evaluation: AP, confusion matrix and examples of a detector with known predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.support.annotated_images import HEIGHT, WIDTH, image_with_shapes
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, LabelledImage, Prediction
from vott_trainer.plugin_api.evaluation import Found, SmallObjects
from vott_trainer.vision import matching
from vott_trainer.vision.detector_evaluation import detect, evaluate, predictions
from vott_trainer.vision.detector_samples import Samples
from vott_trainer.vision.small_objects import small_objects

LABELS = ["circle", "square", "triangle"]
CPU = torch.device("cpu")
SIZE = WIDTH // 2  # of the samples: half of the images' size


class FakeDetector(nn.Module):
    """Returns given detections in the order of the images, and records the shapes of each batch."""

    def __init__(self, detections: Sequence[Mapping[str, Tensor]]) -> None:
        super().__init__()
        self._detections, self.shapes = iter(detections), list[list[tuple[int, ...]]]()

    def forward(self, images: list[Tensor]) -> list[Mapping[str, Tensor]]:
        self.shapes.append([tuple(image.shape) for image in images])
        return [next(self._detections) for _ in images]


def detections(*rows: tuple[int, float, tuple[float, float, float, float]]) -> dict[str, Tensor]:
    """Detections from (label, score, corners)."""
    return {
        "labels": torch.tensor([label for label, _, _ in rows], dtype=torch.int64),
        "scores": torch.tensor([score for _, score, _ in rows], dtype=torch.float32),
        "boxes": torch.tensor([box for _, _, box in rows], dtype=torch.float32).reshape(-1, 4),
    }


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Six images with two shapes each."""
    images = []
    for seed in range(6):
        content, shapes = image_with_shapes(seed)
        path = tmp_path / f"{seed}.png"
        path.write_bytes(content)
        boxes = [Box(shape.x, shape.y, shape.side, shape.side, shape.label) for shape in shapes]
        images.append(LabelledImage(f"https://store/{seed}.png?sig=SECRET", path, boxes))
    return Samples(images, LABELS, SIZE)


def truth(samples: Samples, score: float = 0.9) -> list[dict[str, Tensor]]:
    """The detections of a perfect detector."""
    rows = [zip(s.labels.tolist(), [score] * len(s.labels), s.boxes.tolist(), strict=True) for s in samples]
    return [detections(*each) for each in rows]


def measure(found: Sequence[Mapping[str, Tensor]], samples: Samples) -> Evaluation:
    return evaluate(FakeDetector(found), samples, LABELS, CPU)


def test_perfect_detector_has_an_average_precision_of_one(samples: Samples) -> None:
    evaluation = measure(truth(samples), samples)
    assert evaluation.metrics == pytest.approx({"mAP50": 1.0, "mAP": 1.0})
    assert next(iter(evaluation.metrics)) == "mAP50"
    for label in LABELS:
        assert evaluation.per_class[label] == pytest.approx(
            {"AP": 1, "AP50": 1, "precision": 1, "recall": 1, "count": 4, "threshold": evaluation.thresholds[label]}
        )
        assert {(point.precision, point.score) for point in evaluation.curves[label]} == {(1.0, 0.9)}
    assert all(example.is_correct for example in evaluation.examples)
    assert [(point.count, point.correct) for point in evaluation.reliability] == [(12, 1.0)]
    assert evaluation.confusion
    assert evaluation.confusion.counts == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 0]]


def test_detector_without_detections_has_an_average_precision_of_zero(samples: Samples) -> None:
    evaluation = measure([detections()] * 6, samples)
    assert evaluation.metrics == {"mAP50": 0.0, "mAP": 0.0}
    assert evaluation.per_class["circle"] == {
        "AP": 0.0, "AP50": 0.0, "precision": 0.0, "recall": 0.0, "count": 4.0, "threshold": 0.5,
    }  # fmt: skip
    assert evaluation.curves == {}
    assert [len(example.missed) for example in evaluation.examples] == [2] * 6


def test_half_of_a_class_missed_halves_its_average_precision(samples: Samples) -> None:
    found = truth(samples)
    for number in (0, 3):  # image 0 and 3 begin with a circle
        found[number] = {name: values[1:] for name, values in found[number].items()}
    evaluation = measure(found, samples)
    assert evaluation.per_class["circle"]["AP50"] == pytest.approx(51 / 101)  # recall 0, 0.01 … 0.5 of 101 thresholds
    assert evaluation.per_class["circle"]["recall"] == 0.5
    assert evaluation.metrics["mAP50"] == pytest.approx((51 / 101 + 1 + 1) / 3)
    assert evaluation.curves["circle"][-1].recall == 0.5


def test_class_that_is_never_found_has_no_curve(samples: Samples) -> None:
    found = [{name: values[image["labels"] != 1] for name, values in image.items()} for image in truth(samples)]
    evaluation = measure(found, samples)
    assert set(evaluation.curves) == {"square", "triangle"}
    assert evaluation.per_class["circle"]["AP50"] == 0


def test_confusion_matrix_counts_wrong_classes_and_wrong_detections(samples: Samples) -> None:
    found = truth(samples)
    found[0]["labels"][0] = 3  # a circle predicted as a triangle
    found[1] = {name: torch.cat((values, found[1][name][:1])) for name, values in found[1].items()}
    found[1]["boxes"][2] = torch.tensor([0.0, 0.0, 8.0, 8.0])  # a second square, on background
    evaluation = measure(found, samples)
    assert evaluation.confusion
    assert evaluation.confusion.labels == [*LABELS, "background"]
    assert evaluation.confusion.counts == [[3, 0, 1, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 1, 0, 0]]
    assert (evaluation.per_class["square"]["precision"], evaluation.per_class["triangle"]["precision"]) == (0.8, 0.8)
    assert sorted(example.name for example in evaluation.examples if not example.is_correct) == [
        "https://store/0.png",
        "https://store/1.png",
    ]


def test_examples_are_in_pixels_of_the_file_not_of_the_sample(samples: Samples) -> None:
    evaluation = measure(truth(samples), samples)
    example = evaluation.examples[0]
    for predicted, true in zip(example.predictions, example.truth, strict=True):
        assert predicted.box
        assert true.box
        assert matching.iou(predicted.box, true.box) > 0.98
    assert max(box.x + box.width for one in evaluation.examples if (box := one.predictions[-1].box)) > SIZE


def test_correct_predictions_are_shown_even_if_all_scores_are_low(samples: Samples) -> None:
    evaluation = measure(truth(samples, score=0.3), samples)
    assert evaluation.per_class["circle"]["recall"] == 1
    assert all(example.is_correct for example in evaluation.examples)
    assert max(evaluation.thresholds.values()) <= 0.3


def test_predictions_below_the_threshold_count_in_curves_but_are_not_shown(samples: Samples) -> None:
    found = truth(samples)
    for image in found:
        low = detections(*[(label, 0.1, (0, 0, 8 + n, 8)) for label in (1, 2, 3) for n in range(9)])
        image.update({name: torch.cat((values, low[name])) for name, values in image.items()})
    evaluation = measure(found, samples)
    assert 0.1 < evaluation.thresholds["circle"] < 0.9
    assert evaluation.per_class["circle"]["precision"] == 1
    assert all(example.is_correct for example in evaluation.examples)
    assert evaluation.curves["circle"][0].precision == 1


def test_images_of_one_size_are_batched_without_padding(samples: Samples) -> None:
    model = FakeDetector(truth(samples))
    evaluate(model, samples, LABELS, CPU)
    assert model.shapes == [[(3, SIZE * HEIGHT // WIDTH, SIZE)] * 6]


class SmallMemory(nn.Module):
    """Runs out of memory with more than `capacity` images."""

    def __init__(self, model: nn.Module, capacity: int) -> None:
        super().__init__()
        self.model, self.capacity = model, capacity

    def forward(self, images: list[Tensor]) -> object:
        if len(images) > self.capacity:
            raise torch.OutOfMemoryError
        return self.model(images)


def test_batch_is_halved_when_memory_runs_out_with_the_same_result(samples: Samples) -> None:
    detector = FakeDetector(truth(samples))
    assert evaluate(SmallMemory(detector, 2), samples, LABELS, CPU) == measure(truth(samples), samples)
    assert [len(batch) for batch in detector.shapes] == [1, 2, 1, 2]


def test_memory_too_small_for_one_image_is_an_error(samples: Samples) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(SmallMemory(FakeDetector([]), 0), samples, LABELS, CPU)


def test_class_without_held_out_objects_has_no_average_precision(samples: Samples) -> None:
    evaluation = evaluate(FakeDetector(truth(samples)), samples, [*LABELS, "unicorn"], CPU)
    assert evaluation.per_class["unicorn"] == {
        "precision": 0.0, "recall": 0.0, "count": 0.0, "threshold": evaluation.thresholds["unicorn"],
    }  # fmt: skip
    assert "unicorn" not in evaluation.curves
    assert evaluation.metrics["mAP50"] == pytest.approx(1)


def test_background_and_empty_boxes_are_dropped() -> None:
    some = detections((0, 0.9, (0, 0, 5, 5)), (1, 0.9, (3, 3, 3, 9)), (2, 0.8, (0, 0, 4, 4)))
    model = FakeDetector([some])
    shown = predictions(detect(model, torch.zeros(3, 10, 10, dtype=torch.uint8), CPU), LABELS, (0.5, 0.25))
    assert [(one.label, one.box) for one in shown] == [("square", Box(0, 0, 8, 16, "square"))]


def test_predictions_are_shown_from_the_threshold_of_their_class_on() -> None:
    found = detections(*[(label, score, (0, 0, 5, 5)) for label in (1, 2) for score in (0.25, 0.5, 0.75)])
    shown = predictions(found, LABELS, (1.0, 1.0), {"circle": 0.5, "square": 0.75})
    assert [(one.label, one.score) for one in shown] == [("circle", 0.75), ("square", 0.75), ("circle", 0.5)]


def test_small_objects_are_those_that_are_small_for_the_network() -> None:
    boxes = [Box(0, 0, side, side, "circle") for side in (20, 30, 40)]
    truth = [Prediction("circle", 1.0, box) for box in boxes]
    example = matching.example(Path("1.png"), "1.png", truth, truth[1:])
    assert small_objects([(example, (0.5, 0.5))]) == SmallObjects(16, Found(1, 2), Found(1, 1))
    assert small_objects([(example, (1.0, 0.25))]) == SmallObjects(16, Found(1, 2), Found(1, 1))
    assert small_objects([(example, (1.0, 1.0))]) == SmallObjects(16, Found(0, 0), Found(2, 3))
    assert small_objects([]) == SmallObjects(16, Found(0, 0), Found(0, 0))


def test_every_object_of_a_crowded_image_counts(tmp_path: Path) -> None:
    """COCO counts only 100 predictions of a class on an image."""
    (path := tmp_path / "crowd.png").write_bytes(image_with_shapes(0)[0])
    boxes = [Box(column * 8.0, row * 8.0, 6.0, 6.0, "circle") for column in range(15) for row in range(10)]
    crowd = Samples([LabelledImage("https://store/crowd.png", path, boxes)], LABELS, WIDTH)
    assert measure(truth(crowd), crowd).metrics == pytest.approx({"mAP50": 1.0, "mAP": 1.0})
