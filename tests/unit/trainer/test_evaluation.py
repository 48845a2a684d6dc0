"""What the evaluation says of a detector whose every prediction is known, and of a classifier's scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.shapes import HEIGHT, WIDTH, image_with_shapes
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, Example, LabelledImage, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.vision import matching
from vott_trainer.vision.classifier_evaluation import Shown, evaluate_classes
from vott_trainer.vision.detector_evaluation import detect, evaluate, predictions
from vott_trainer.vision.samples import Samples

LABELS = ["circle", "square", "triangle"]
CPU = torch.device("cpu")
SIZE = WIDTH // 2  # the network sees the images at half of their size


class Told(nn.Module):
    """A detector that says what it was told to, in the order of the images, and notes how many it got at once."""

    def __init__(self, answers: Sequence[Mapping[str, Tensor]]) -> None:
        super().__init__()
        self._answers, self.shapes = iter(answers), list[list[tuple[int, ...]]]()

    def forward(self, images: list[Tensor]) -> list[Mapping[str, Tensor]]:
        self.shapes.append([tuple(image.shape) for image in images])
        return [next(self._answers) for _ in images]


def found(*rows: tuple[int, float, tuple[float, float, float, float]]) -> dict[str, Tensor]:
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
    """What a perfect detector finds."""
    rows = [zip(s.labels.tolist(), [score] * len(s.labels), s.boxes.tolist(), strict=True) for s in samples]
    return [found(*each) for each in rows]


def measure(answers: Sequence[Mapping[str, Tensor]], samples: Samples) -> Evaluation:
    return evaluate(Told(answers), samples, LABELS, CPU)


def test_perfect_detector_has_full_marks(samples: Samples) -> None:
    told = measure(truth(samples), samples)
    assert told.metrics == pytest.approx({"mAP50": 1.0, "mAP": 1.0})
    assert next(iter(told.metrics)) == "mAP50"
    for label in LABELS:
        assert told.per_class[label] == pytest.approx(
            {"AP": 1, "AP50": 1, "precision": 1, "recall": 1, "count": 4, "bestScore": 0.9}
        )
        assert {(point.precision, point.score) for point in told.curves[label]} == {(1.0, 0.9)}
    assert all(example.is_correct for example in told.examples)
    assert told.confusion
    assert told.confusion.counts == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 0]]


def test_detector_that_finds_nothing_has_none(samples: Samples) -> None:
    told = measure([found()] * 6, samples)
    assert told.metrics == {"mAP50": 0.0, "mAP": 0.0}
    assert told.per_class["circle"] == {"AP": 0.0, "AP50": 0.0, "precision": 0.0, "recall": 0.0, "count": 4.0}
    assert told.curves == {}
    assert [len(example.missed) for example in told.examples] == [2] * 6


def test_half_of_a_class_missed_halves_its_average_precision(samples: Samples) -> None:
    answers = truth(samples)
    for number in (0, 3):  # image 0 and 3 begin with a circle
        answers[number] = {name: values[1:] for name, values in answers[number].items()}
    told = measure(answers, samples)
    assert told.per_class["circle"]["AP50"] == pytest.approx(51 / 101)  # recall 0, 0.01 … 0.5 of 101 thresholds
    assert told.per_class["circle"]["recall"] == 0.5
    assert told.metrics["mAP50"] == pytest.approx((51 / 101 + 1 + 1) / 3)
    assert told.curves["circle"][-1].recall == 0.5


def test_class_that_is_never_found_has_no_curve(samples: Samples) -> None:
    answers = [{name: values[there["labels"] != 1] for name, values in there.items()} for there in truth(samples)]
    told = measure(answers, samples)
    assert set(told.curves) == {"square", "triangle"}
    assert told.per_class["circle"]["AP50"] == 0


def test_confusion_says_what_is_taken_for_what_and_what_is_imagined(samples: Samples) -> None:
    answers = truth(samples)
    answers[0]["labels"][0] = 3  # a circle taken for a triangle
    answers[1] = {name: torch.cat((values, answers[1][name][:1])) for name, values in answers[1].items()}
    answers[1]["boxes"][2] = torch.tensor([0.0, 0.0, 8.0, 8.0])  # a second square where nothing is
    told = measure(answers, samples)
    assert told.confusion
    assert told.confusion.labels == [*LABELS, "background"]
    assert told.confusion.counts == [[3, 0, 1, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 1, 0, 0]]
    assert (told.per_class["square"]["precision"], told.per_class["triangle"]["precision"]) == (0.8, 0.8)
    assert sorted(example.name for example in told.examples if not example.is_correct) == [
        "https://store/0.png",
        "https://store/1.png",
    ]


def test_examples_are_in_pixels_of_the_file_though_the_network_saw_less(samples: Samples) -> None:
    told = measure(truth(samples), samples)
    example = told.examples[0]
    for seen, there in zip(example.predictions, example.truth, strict=True):
        assert seen.box
        assert there.box
        assert matching.iou(seen.box, there.box) > 0.98
    assert max(box.x + box.width for one in told.examples if (box := one.predictions[-1].box)) > SIZE


def test_weak_predictions_count_for_curves_but_are_not_shown(samples: Samples) -> None:
    told = measure(truth(samples, score=0.3), samples)
    assert told.metrics["mAP50"] == pytest.approx(1)
    assert told.per_class["circle"]["recall"] == 0
    assert told.per_class["circle"]["bestScore"] == pytest.approx(0.3)
    assert not any(example.predictions for example in told.examples)


def test_images_of_one_size_go_through_the_network_together_and_none_is_padded(samples: Samples) -> None:
    model = Told(truth(samples))
    evaluate(model, samples, LABELS, CPU)
    assert model.shapes == [[(3, SIZE * HEIGHT // WIDTH, SIZE)] * 6]


class SmallMemory(nn.Module):
    """Passes images on to another network, and has room for so many at once."""

    def __init__(self, model: nn.Module, room: int) -> None:
        super().__init__()
        self.model, self.room = model, room

    def forward(self, images: list[Tensor]) -> object:
        if len(images) > self.room:
            raise torch.OutOfMemoryError
        return self.model(images)


def test_full_gpu_gets_fewer_images_at_once_and_the_same_is_measured(samples: Samples) -> None:
    told = Told(truth(samples))
    assert evaluate(SmallMemory(told, 2), samples, LABELS, CPU) == measure(truth(samples), samples)
    assert [len(at_once) for at_once in told.shapes] == [1, 2, 1, 2]


def test_gpu_without_room_for_one_image_is_out_of_memory(samples: Samples) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(SmallMemory(Told([]), 0), samples, LABELS, CPU)


def test_class_without_held_out_objects_has_no_average_precision(samples: Samples) -> None:
    told = evaluate(Told(truth(samples)), samples, [*LABELS, "unicorn"], CPU)
    assert told.per_class["unicorn"] == {"precision": 0.0, "recall": 0.0, "count": 0.0}
    assert "unicorn" not in told.curves
    assert told.metrics["mAP50"] == pytest.approx(1)


def test_background_and_empty_boxes_of_a_detector_do_not_count() -> None:
    some = found((0, 0.9, (0, 0, 5, 5)), (1, 0.9, (3, 3, 3, 9)), (2, 0.8, (0, 0, 4, 4)))
    model = Told([some])
    shown = predictions(detect(model, torch.zeros(3, 10, 10, dtype=torch.uint8), CPU), LABELS, scale=0.5)
    assert [(one.label, one.box) for one in shown] == [("square", Box(0, 0, 8, 8, "square"))]


def test_prediction_takes_an_object_of_its_own_class_rather_than_a_nearer_one() -> None:
    circle, square = seen("circle", 0, 10), seen("square", 1, 10)
    prediction = seen("circle", 1, 10, 0.9)
    assert matching.pairs([square, circle], [prediction]) == [(circle, prediction), (square, None)]


def test_object_is_found_once_by_the_surest_prediction() -> None:
    there, sure, doubtful = seen("circle", 0, 10), seen("circle", 2, 10, 0.9), seen("circle", 0, 10, 0.6)
    assert matching.pairs([there], [doubtful, sure]) == [(there, sure), (None, doubtful)]


@pytest.mark.parametrize(
    ("second", "repeated"),
    [
        (("circle", 5, 10), True),  # IoU 1/3
        (("circle", -8, 19), True),  # its centre lies in the object
        (("circle", 8, 10), False),
        (("square", 2, 10), False),
    ],
)
def test_second_box_of_a_found_object_is_repeated_and_no_imagined_object(
    second: tuple[str, float, float], repeated: bool
) -> None:
    found, again = seen("circle", 0, 10, 0.9), seen(*second, score=0.6)
    told = matching.example(Path("a"), "a", [seen("circle", 0, 10)], [found, again])
    assert (told.duplicates, told.wrong) == (([again], []) if repeated else ([], [again]))
    assert not told.is_correct
    counted = matching.confusion(["circle", "square"], [told])
    assert sum(counted.repeated) == repeated
    assert sum(counted.counts[-1]) == (not repeated)
    assert counted.counts[0][0] == 1


def test_repeated_box_costs_precision_as_an_imagined_one_does() -> None:
    twice = [seen("circle", 0, 10, 0.9), seen("circle", 2, 10, 0.6)]
    counted = matching.confusion(["circle"], [matching.example(Path("a"), "a", [seen("circle", 0, 10)], twice)])
    assert matching.per_class(counted, ["circle"])["circle"]["precision"] == 0.5


def test_second_box_around_a_missed_object_is_no_repetition() -> None:
    loose = seen("circle", 5, 10, 0.9)
    told = matching.example(Path("a"), "a", [seen("circle", 0, 10)], [loose])
    assert (told.duplicates, told.wrong, len(told.missed)) == ([], [loose], 1)


def seen(label: str, x: float, side: float, score: float = 1.0) -> Prediction:
    return Prediction(label, score, Box(x, 0, side, side, label))


def test_worst_examples_come_first_then_those_right_ones_with_most_to_see() -> None:
    right = [matching.example(Path("a"), "right, little", [seen("a", 0, 9)], [seen("a", 0, 9, 0.9)])]
    two = [seen("a", 0, 9), seen("a", 20, 9)]
    right += [matching.example(Path("b"), "right, much", two, two)]
    wrong = [Example(Path("c"), "sure", [], [], wrong=[seen("a", 0, 9, 0.9)])]
    wrong += [Example(Path("d"), "worst", [], [], missed=two)]
    names = [example.name for example in choose_examples([*right, *wrong])]
    assert names == ["worst", "sure", "right, much", "right, little"]
    assert len(choose_examples([*right, *wrong], count=1)) == 2


def test_classifier_is_measured_by_its_highest_score() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    shown = [Shown(Path(f"{number}.jpg"), f"https://store/{number}.jpg") for number in range(4)]
    told = evaluate_classes([0, 0, 1, 1], scores, ["cat", "dog"], shown)
    assert told.metrics == pytest.approx({"accuracy": 0.75, "f1": (2 / 3 + 0.8) / 2})
    assert next(iter(told.metrics)) == "accuracy"
    assert told.per_class["cat"] == pytest.approx({"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "count": 2.0})
    assert told.confusion
    assert told.confusion.counts == [[1, 1], [0, 2]]
    assert not told.confusion.with_background
    assert (told.examples[0].name, told.examples[0].is_correct) == ("https://store/1.jpg", False)
    assert told.curves["dog"][0].precision == 1


def test_classifier_s_class_may_be_called_background() -> None:
    shown = [Shown(Path("0.jpg"), "0.jpg"), Shown(Path("1.jpg"), "1.jpg", Box(0, 0, 4, 4, "background"))]
    told = evaluate_classes([0, 1], np.eye(2), ["a", "background"], shown)
    assert told.metrics["accuracy"] == 1
    assert set(told.per_class) == {"a", "background"}
    assert all(example.is_correct for example in told.examples)
