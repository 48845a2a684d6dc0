"""Dataset checks: clipped, scaled and duplicate boxes, identical images, classes with too few examples, and what is refused."""

import pickle
import random
from pathlib import Path

import pytest
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.annotations.findings import MAX_LISTED, Finding, Findings
from vott_trainer.data import annotated_size
from vott_trainer.data.checks import clean, labels_of
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.plugin_api import LabelledImage

WIDTH, HEIGHT = 100, 60
CAT, DOG = Box(10, 10, 20, 20, "cat"), Box(40, 10, 20, 20, "dog")


class ImageFactory:
    """Makes annotated images, all different unless `like` names an earlier one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def image(self, *boxes: Box, label: str | None = None, like: LabelledImage | None = None) -> LabelledImage:
        """An image of 100 x 60 pixels."""
        path = self.folder / f"{self.count}.png"
        if like:
            path.write_bytes(like.path.read_bytes())
        else:
            Image.new("RGB", (WIDTH, HEIGHT), (self.count, 0, 0)).save(path)
        self.count += 1
        return LabelledImage(f"https://store/{path.name}?sig=SECRET", path, list(boxes), label)

    def good(self, count: int = 4) -> list[LabelledImage]:
        """Images with nothing wrong."""
        return [self.image(CAT, DOG) for _ in range(count)]


@pytest.fixture
def factory(tmp_path: Path) -> ImageFactory:
    return ImageFactory(tmp_path)


def test_good_images_stay_as_they_are(factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image()]
    assert clean(images) == (images, [])


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (Box(10, 10, 0, 5, "cat"), "box of cat at x 10, y 10, 0 x 5 pixels has no area: left out"),
        (Box(10, 10, -4, 5, "cat"), "box of cat at x 10, y 10, -4 x 5 pixels has no area: left out"),
        (Box(120, 10, 9, 9, "cat"), "box of cat at x 120, y 10, 9 x 9 pixels lies outside the image of 100 x 60: left out"),
        (Box(99.5, 10, 9, 9, "cat"), "box of cat at x 99.5, y 10, 9 x 9 pixels lies outside the image of 100 x 60: left out"),
    ],
)  # fmt: skip
def test_box_outside_its_image_is_left_out_and_reported(box: Box, problem: str, factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image(box, DOG)]
    cleaned, findings = clean(images)
    assert cleaned[-1].boxes == [DOG]
    assert findings == [Finding("box", "https://store/4.png", problem)]


def test_box_beyond_its_image_is_clipped_and_reported(factory: ImageFactory) -> None:
    cleaned, findings = clean([*factory.good(), factory.image(Box(-5, 50, 20, 20, "cat"))])
    assert cleaned[-1].boxes == [Box(0, 50, 15, 10, "cat")]
    assert [finding.what for finding in findings] == [
        "box of cat at x -5, y 50, 20 x 20 pixels extends beyond the image of 100 x 60: clipped"
    ]


def test_rounding_at_the_edge_is_not_reported(factory: ImageFactory) -> None:
    cleaned, findings = clean([*factory.good(), factory.image(Box(-0.5, -0.5, 101, 61, "cat"))])
    assert cleaned[-1].boxes == [Box(0, 0, 100, 60, "cat")]
    assert findings == []


@pytest.mark.parametrize("box", [Box(0.1, 0.1, 1, 1, "cat"), Box(7.2, 20, 1, 1, "cat"), Box(99, 59, 1, 1, "cat")])
def test_box_of_a_pixel_is_kept_whatever_rounding_does_to_its_sides(box: Box, factory: ImageFactory) -> None:
    cleaned, findings = clean([*factory.good(), factory.image(box)])
    (clipped,) = cleaned[-1].boxes
    assert (clipped.x, clipped.y, clipped.width, clipped.height) == pytest.approx((box.x, box.y, box.width, box.height))
    assert findings == []


@pytest.mark.parametrize(
    "box", [Box(10, 10, 0.5, 0.5, "cat"), Box(10, 10, 0.5, 9, "cat"), Box(0.1, 0.2, 0.3, 0.4, "cat")]
)
def test_box_smaller_than_a_pixel_is_left_out_and_reported(box: Box, factory: ImageFactory) -> None:
    cleaned, (finding,) = clean([*factory.good(), factory.image(box)])
    assert cleaned[-1].boxes == []
    assert finding.what.endswith("pixels is smaller than a pixel: left out")


@pytest.mark.parametrize("whole", [Box(0, 0, 1, 1, "cat"), Box(0.2, 0.1, 0.6, 1, "cat")])
def test_boxes_in_fractions_of_their_images_are_refused_with_the_remedy(whole: Box, factory: ImageFactory) -> None:
    images = [factory.image(Box(0.525, 0.24, 0.002, 0.003, "cat"), whole) for _ in range(3)]
    with pytest.raises(BadAnnotationsError) as error:
        clean(images, {images[0].url: (1000, 600)})
    text = str(error.value)
    assert (
        "6 of 6 boxes are smaller than a pixel: https://store/0.png: box of cat at x 0.525, y 0.24, 0.002 x 0.003"
        in text
    )
    assert "multiply x and width by the image's width" in text
    assert "SECRET" not in text


def test_boxes_that_shrink_to_nothing_with_their_image_are_no_fractions(factory: ImageFactory) -> None:
    images = [*factory.good(2), *(factory.image(Box(10, 10, 9, 9, "cat")) for _ in range(6))]
    cleaned, _ = clean(images, {image.url: (2000, 1200) for image in images[2:]})
    assert [len(image.boxes) for image in cleaned] == [2, 2, 0, 0, 0, 0, 0, 0]


def test_boxes_that_mostly_do_not_fit_are_refused_with_the_likely_cause(factory: ImageFactory) -> None:
    images = [factory.image(CAT, Box(50, 30, 90, 55, "dog"), Box(60, 10, 80, 30, "cat")) for _ in range(3)]
    with pytest.raises(BadAnnotationsError) as error:
        clean(images)
    text = str(error.value)
    assert "6 of 9 boxes do not fit their images: https://store/0.png: box of dog at x 50" in text
    assert "annotationFormat must be corners" in text
    assert "SECRET" not in text


def centred(rng: random.Random) -> tuple[float, float, float, float]:
    """The corners of an object near the middle of its image."""
    sides = [(side, rng.uniform(0.2, 0.5) * side, side * rng.gauss(0.5, 0.05)) for side in (WIDTH, HEIGHT)]
    (x1, x2), (y1, y2) = ((middle - length / 2, middle + length / 2) for _, length, middle in sides)
    return x1, y1, x2, y2


def test_forgotten_corners_of_centred_objects_are_refused(factory: ImageFactory) -> None:
    rng = random.Random(0)
    images = [factory.image(Box(*centred(rng), "cat")) for _ in range(100)]
    with pytest.raises(BadAnnotationsError, match="annotationFormat must be corners"):
        clean(images)


def test_centred_objects_that_are_no_corners_stay(factory: ImageFactory) -> None:
    rng = random.Random(0)
    corners = [centred(rng) for _ in range(100)]
    images = [factory.image(Box(x1, y1, x2 - x1, y2 - y1, "cat")) for x1, y1, x2, y2 in corners]
    assert clean(images) == (images, [])


def test_a_few_boxes_far_beyond_their_images_are_clipped_if_others_can_not_be_corners(factory: ImageFactory) -> None:
    images = [*factory.good(8), *(factory.image(Box(70, 30, 75, 60, "cat")) for _ in range(4))]
    assert [len(image.boxes) for image in clean(images)[0]] == [2] * 8 + [1] * 4


FAR, NOT_FAR = Box(70, 30, 75, 60, "cat"), Box(90, 10, 19, 9, "cat")  # beyond the image by more and less than a tenth


def test_half_of_the_boxes_may_be_far_beyond_their_images(factory: ImageFactory) -> None:
    images = [factory.image(FAR, DOG) for _ in range(4)]
    assert len(clean([*images, factory.image(NOT_FAR)])[0]) == 5
    with pytest.raises(BadAnnotationsError, match="5 of 9 boxes do not fit"):
        clean([*images, factory.image(FAR)])


def test_tenth_of_boxes_that_may_be_corners_may_be_far_beyond_their_images(factory: ImageFactory) -> None:
    inside, beyond = Box(10, 5, 20, 10, "cat"), Box(60, 20, 75, 55, "cat")
    images = [factory.image(inside) for _ in range(18)] + [factory.image(beyond) for _ in range(2)]
    assert len(clean(images)[0]) == 20
    with pytest.raises(BadAnnotationsError, match="3 of 20 boxes do not fit"):
        clean([*images[1:], factory.image(beyond)])


def test_single_box_may_be_far_beyond_its_image(factory: ImageFactory) -> None:
    assert len(clean([factory.image(FAR)])[0][0].boxes) == 1


@pytest.mark.parametrize(
    ("annotated", "scale"), [((1000, 603), (0.4, 240 / 603)), ((1000, 606.1), None), ((994, 600), (400 / 994, 0.4))]
)
def test_shapes_may_differ_by_a_hundredth(annotated: tuple[float, float], scale: tuple[float, float] | None) -> None:
    assert annotated_size.scale_between(annotated, (400, 240)) == scale


def test_box_is_scaled_by_the_factor_of_each_axis() -> None:
    assert annotated_size.scaled(Box(10, 20, 30, 40, "cat"), (2, 0.5)) == Box(20, 10, 60, 20, "cat")


def test_image_of_another_size_than_annotated_has_its_boxes_scaled(factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image(Box(20, 20, 40, 40, "cat"))]
    cleaned, findings = clean(images, {images[-1].url: (200, 120)})
    assert cleaned[-1].boxes == [Box(10, 10, 20, 20, "cat")]
    assert findings == [
        Finding("image", "https://store/4.png", "annotated with 200 x 120 pixels, the image has 100 x 60: its boxes are scaled")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("annotated", "cause"), [((60, 100), "annotated without its EXIF rotation"), ((100, 100), "another shape")]
)
def test_image_of_another_shape_than_annotated_is_left_out(
    annotated: tuple[int, int], cause: str, factory: ImageFactory
) -> None:
    images = factory.good(5)
    cleaned, (finding,) = clean(images, {images[-1].url: annotated})
    assert cleaned == images[:-1]
    assert finding.what.endswith(f"the image has 100 x 60, {cause}: left out")


def test_sizes_are_those_after_exif_rotation(factory: ImageFactory) -> None:
    rotated = factory.image(Box(0, 0, 50, 90, "cat"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(rotated.path, "PNG", exif=exif)
    images = [*factory.good(), rotated]
    assert clean(images, {rotated.url: (60, 100)}) == (images, [])


def test_duplicate_box_is_removed(factory: ImageFactory) -> None:
    cleaned, findings = clean([*factory.good(), factory.image(CAT, DOG, CAT, CAT)])
    assert cleaned[-1].boxes == [CAT, DOG]
    assert findings == [Finding("duplicate", "https://store/4.png", "2 duplicate boxes removed")]


def test_identical_images_are_merged_with_the_boxes_of_both(factory: ImageFactory) -> None:
    first, *others = factory.good()
    again = factory.image(CAT, Box(1, 1, 9, 9, "cat"), like=first)
    cleaned, findings = clean([first, *others, again])
    assert [image.url for image in cleaned] == [image.url for image in [first, *others]]
    assert cleaned[0].boxes == [CAT, DOG, Box(1, 1, 9, 9, "cat")]
    assert findings == [
        Finding("duplicate", "https://store/4.png", "same file as https://store/0.png: merged with it")
    ]  # fmt: skip


def test_identical_images_with_two_classes_are_reported(factory: ImageFactory) -> None:
    cat = factory.image(label="cat")
    images = [
        cat,
        factory.image(label="cat"),
        factory.image(label="dog"),
        factory.image(label="dog"),
        factory.image(label="dog", like=cat),
    ]
    cleaned, (finding,) = clean(images)
    assert cleaned == images[:-1]
    assert finding.what.endswith("its class cat is kept, dog dropped")


def test_class_with_one_example_is_reported(factory: ImageFactory) -> None:
    findings = clean([*factory.good(), factory.image(Box(1, 1, 9, 9, "yak"))])[1]
    assert findings == [
        Finding("class", "yak", "has only one example, too few to train and to evaluate: annotate more")
    ]


def test_class_without_a_usable_example_is_reported_and_is_no_label(factory: ImageFactory) -> None:
    cleaned, findings = clean([*factory.good(), factory.image(Box(200, 1, 9, 9, "yak"))])
    assert [finding.kind for finding in findings] == ["box", "class"]
    assert labels_of(cleaned) == ["cat", "dog"]


def test_many_findings_of_a_kind_are_counted_not_listed(factory: ImageFactory) -> None:
    beyond = [Box(x, 50, 20, 12, "cat") for x in range(40)]
    findings = clean([*factory.good(), factory.image(*beyond)])[1]
    assert len(findings) == MAX_LISTED + 1
    assert findings[-1] == Finding("box", "", "20 more of this kind")


def test_findings_beyond_the_listed_ones_take_no_memory() -> None:
    findings = Findings()
    for number in range(50_000):
        findings.add(Finding("box", str(number), "lies outside"))
    assert len(findings) == 50_000
    assert len(pickle.dumps(findings)) < 3000
    assert findings.listed()[-1] == Finding("box", "", "49,980 more of this kind")
