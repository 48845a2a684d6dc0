"""Split into training and held-out images: by scene and content, every class on both sides, and hardly changed when images are added."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from vott_trainer.annotations import Box
from vott_trainer.data.folds import held_out_in, unlearned
from vott_trainer.data.split import split_by_class, split_images
from vott_trainer.data.stratification import held_out
from vott_trainer.errors import NoUsableImagesError
from vott_trainer.plugin_api import Fold, LabelledImage
from vott_trainer.vision.classifier_samples import View

Labelled = dict[bytes, Counter[str | None]]


def labelled_image(folder: Path, number: int, *labels: str, scene: int | None = None) -> LabelledImage:
    path = folder / f"{number}.png"
    path.write_bytes(number.to_bytes(2))
    return LabelledImage(f"https://store/{number}", path, [Box(1, 2, 3, 4, label) for label in labels], scene=scene)


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    """Ten images with a box and ten without one, all of different content."""
    return [labelled_image(tmp_path, number, *["cat"] * (number < 10)) for number in range(20)]


def test_split_does_not_depend_on_order_or_names(images: list[LabelledImage]) -> None:
    renamed = [replace(image, url=f"https://other/{i}") for i, image in enumerate(reversed(images[:10]))]
    first, second = split_images(images[:10], 0.3), split_images(renamed, 0.3)
    assert {image.path for image in first[1]} == {image.path for image in second[1]}
    assert (len(first[0]), len(first[1])) == (7, 3)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_both_sides_of_a_split_have_an_image_with_objects(fraction: float, images: list[LabelledImage]) -> None:
    for side in split_images(images[:2], fraction):
        assert len(side) == 1


@pytest.mark.parametrize(("fraction", "held_out"), [(0.01, 0), (0.2, 2), (0.99, 10)])
def test_images_without_objects_are_split_by_the_fraction_alone(
    fraction: float, held_out: int, images: list[LabelledImage]
) -> None:
    training, measuring = split_images(images, fraction)
    assert sum(not image.boxes for image in measuring) == held_out
    assert len(training) + len(measuring) == len(images)


def test_images_of_a_scene_are_on_one_side(tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, number, "cat", scene=number // 4) for number in range(100)]
    training, held_out = split_images(images, 0.2)
    assert not {image.scene for image in training} & {image.scene for image in held_out}
    assert len(held_out) == pytest.approx(20, abs=5)


def test_two_scenes_are_one_on_each_side_even_if_one_is_much_larger(tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, number, "cat", scene=min(1, number)) for number in range(20)]
    training, held_out = split_images(images, 0.2)
    assert {len({image.scene for image in side}) for side in (training, held_out)} == {1}


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.99])
def test_each_class_is_on_both_sides_of_the_split_and_each_image_on_one(fraction: float, tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, number) for number in range(20)]
    views = [View(image, "rare" if number < 2 else "common") for number, image in enumerate(images) for _ in range(2)]
    training, held_out = split_by_class(views, fraction)
    assert {view.label for view in training} == {view.label for view in held_out} == {"rare", "common"}
    assert not {view.image.path for view in training} & {view.image.path for view in held_out}
    assert {view.image.path for view in split_by_class(views[::-1], fraction)[1]} == {
        view.image.path for view in held_out
    }


def test_crops_of_one_image_are_on_one_side_even_with_different_classes(tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, number, "cat", "dog") for number in range(20)]
    views = [View(image, box.label, box) for image in images for box in image.boxes]
    training, held_out = split_by_class(views, 0.2)
    assert len(held_out) == pytest.approx(8, abs=2)
    assert not {view.image.path for view in training} & {view.image.path for view in held_out}


def test_class_of_a_single_scene_is_trained_on(tmp_path: Path) -> None:
    for number in range(10):  # of different content, so that some would be held out by their hash
        images = [labelled_image(tmp_path, 10 * number + i, "once" if i == number else "cat") for i in range(10)]
        assert all(box.label == "cat" for image in split_images(images, 0.5)[1] for box in image.boxes)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_measured_with_nearly_its_share(seed: int) -> None:
    scenes = random_scenes(300, classes=12, rng=random.Random(seed))
    chosen = held_out(scenes, 0.2)
    for label, items in total(scenes).items():
        measured = sum(scenes[key][label] for key in chosen)
        several = sum(label in counts for counts in scenes.values()) > 1
        assert 0 < measured < items or not several
        assert items < 30 or measured / items == pytest.approx(0.2, abs=0.08), label


@pytest.mark.parametrize("seed", range(5))
def test_few_scenes_change_sides_when_a_tenth_is_added(seed: int) -> None:
    rng = random.Random(seed)
    scenes = random_scenes(200, classes=6, rng=rng)
    before, after = held_out(scenes, 0.2), held_out(scenes | random_scenes(20, classes=6, rng=rng), 0.2)
    assert len((before ^ after) & scenes.keys()) <= 14  # 4 on average; a split drawn anew moves 64


def random_scenes(number: int, *, classes: int, rng: random.Random) -> Labelled:
    """Scenes of one or five images with several classes, of which the last are rare; some images have none."""
    scenes: Labelled = {}
    for _ in range(number):
        counts = scenes[rng.randbytes(32)] = Counter[str | None]()
        for _ in range(rng.choice([1, 1, 1, 1, 5])):
            labels: list[str | None] = [str(c) for c in range(classes) if rng.random() < 0.7 / (c + 1) ** 1.3]
            counts.update(labels or [None])
    return scenes


def total(scenes: Labelled) -> Counter[str | None]:
    return sum(scenes.values(), Counter[str | None]())


def folds_of(images: list[LabelledImage], total: int) -> list[list[LabelledImage]]:
    """The images that each fold of a cross-validation holds out."""
    folds = []
    for number in range(1, total + 1):
        training, held_out = split_images(images, 0.2, Fold(number, total))
        assert sorted(image.path for image in [*training, *held_out]) == sorted(image.path for image in images)
        folds.append(held_out)
    return folds


@pytest.mark.parametrize("total", [2, 5, 10])
def test_each_image_is_held_out_in_one_fold_and_each_class_is_on_both_sides(total: int, tmp_path: Path) -> None:
    labels = ("common", "common", "rare", "")
    images = [
        labelled_image(tmp_path, number, *filter(None, [labels[number % 4]]), scene=number // 2) for number in range(80)
    ]
    folds = folds_of(images, total)
    assert sorted(image.path for fold in folds for image in fold) == sorted(image.path for image in images)
    for number, fold in enumerate(folds, start=1):
        assert {box.label for image in fold for box in image.boxes} == {"common", "rare"}
        others = {image.scene for other in folds if other is not fold for image in other}
        assert not others & {image.scene for image in fold}, number
        assert len(fold) == pytest.approx(80 / total, rel=0.5)


def test_last_fold_holds_out_what_is_held_out_without_cross_validation(images: list[LabelledImage]) -> None:
    assert folds_of(images, 5)[-1] == split_images(images, 1 / 5)[1]


def test_every_fold_has_an_annotated_image_even_if_one_scene_is_much_larger(tmp_path: Path) -> None:
    for start in range(0, 100, 20):  # of different content
        images = [labelled_image(tmp_path, start + n, "cat", scene=max(0, n - 15)) for n in range(20)]
        folds = folds_of(images, 5)
        assert sorted(len(fold) for fold in folds) == [1, 1, 1, 1, 16]


def test_no_fold_is_larger_than_others_on_average() -> None:
    sizes = [0] * 5
    for seed in range(6):
        scenes: Labelled = {random.Random(f"{seed} {n}").randbytes(32): Counter({"cat": 1}) for n in range(200)}
        for number in range(5):
            sizes[number] += len(held_out_in(Fold(number + 1, 5), scenes))
    assert sizes == pytest.approx([6 * 40] * 5, rel=0.2)


def test_few_images_change_folds_when_some_are_added(tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, number, "cat") for number in range(220)]
    before, after = folds_of(images[:200], 5), folds_of(images, 5)
    moved = sum(image not in after[number] for number, fold in enumerate(before) for image in fold)
    assert moved <= 10  # 160, if they were drawn anew


def test_more_folds_than_annotated_scenes_are_refused(tmp_path: Path) -> None:
    images = [labelled_image(tmp_path, n, *["cat"] * (n < 8), scene=n // 2) for n in range(20)]
    folds_of(images, 4)
    with pytest.raises(NoUsableImagesError, match=r"5 folds needs at least 5 annotated scenes.*show 4.*Lower folds"):
        split_images(images, 0.2, Fold(1, 5))


def test_class_that_a_fold_holds_out_entirely_is_reported() -> None:
    (sentence,) = unlearned({"cat"}, {"cat", "once"}, Fold(2, 3))
    assert sentence.startswith("Fold 2 holds out all images with “once”")
    assert unlearned(set(), {"cat"}, Fold()) == []
