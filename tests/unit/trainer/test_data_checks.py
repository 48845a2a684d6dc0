"""Dataset checks: clipped, scaled and duplicate boxes, identical images, classes with too few examples, and what is refused."""

import pickle
import random
from dataclasses import replace
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
        return LabelledImage(f"https://store/{path.name}?sig=SECRET", path, list(boxes), label, size=(WIDTH, HEIGHT))

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


def test_clicks_are_no_boxes_in_fractions(factory: ImageFactory) -> None:
    images = [factory.image(CAT, Box(50, 30, 0, 0, "cat"), Box(0, 0, 0, 0, "dog")) for _ in range(3)]
    cleaned, findings = clean(images)
    assert [image.boxes for image in cleaned] == [[CAT]] * 3
    assert sum("has no area: left out" in finding.what for finding in findings) == 6


def test_normalized_boxes_get_the_pixels_of_their_image(factory: ImageFactory) -> None:
    outline = (((0.1, 0.5, 0.3, 0.5, 0.3, 1.0),),)
    box = Box(0.1, 0.5, 0.2, 0.5, "cat", outline, normalized=True)
    small = factory.image(box)
    Image.new("RGB", (50, 40)).save(small.path)
    cleaned, findings = clean([factory.image(box), small], outlines=True)
    assert cleaned[0].boxes == [Box(10, 30, 20, 30, "cat", (((10, 30, 30, 30, 30, 60),),))]
    assert cleaned[1].boxes == [Box(5, 20, 10, 20, "cat", (((5, 20, 15, 20, 15, 40),),))]
    assert findings == []


def test_normalized_box_without_area_or_smaller_than_a_pixel_is_left_out(factory: ImageFactory) -> None:
    boxes = [Box(0.5, 0.5, side, 0.2, "cat", normalized=True) for side in (0, 0.005)]
    cleaned, findings = clean([factory.image(*boxes)])
    assert cleaned[0].boxes == []
    assert [finding.what for finding in findings[:2]] == [
        "box of cat at x 50, y 30, 0 x 12 pixels has no area: left out",
        "box of cat at x 50, y 30, 0.5 x 12 pixels is smaller than a pixel: left out",
    ]


def test_normalized_boxes_of_an_image_of_another_shape_are_left_out(factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image(Box(0.1, 0.5, 0.2, 0.5, "cat", normalized=True))]
    cleaned, (finding,) = clean(images, {images[-1].url: (60, 60)})
    assert cleaned == images[:-1]
    assert finding.what.endswith("another shape: left out")


def test_normalized_boxes_of_a_smaller_copy_fit_the_image(factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image(Box(0.1, 0.5, 0.2, 0.5, "cat", normalized=True))]
    cleaned, _ = clean(images, {images[-1].url: (50, 30)})
    assert cleaned[-1].boxes == [Box(10, 30, 20, 30, "cat")]


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
    assert "or a CSV's header must name xmin,ymin,xmax,ymax" in text
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


def test_boxes_around_their_first_two_numbers_are_refused_with_the_remedy(factory: ImageFactory) -> None:
    rng = random.Random(0)
    corners = [(rng.uniform(0, 70), rng.uniform(0, 30)) for _ in range(30)]
    images = [factory.image(Box(x + 15, y + 15, 30, 30, "cat")) for x, y in corners]
    with pytest.raises(BadAnnotationsError) as error:
        clean(images)
    assert "boxes extend beyond their images: https://store/" in str(error.value)
    assert "None would if their first two numbers were their center" in str(error.value)
    assert "xcenter,ycenter,width,height" in str(error.value)
    assert clean([*images, *(factory.image(Box(0, 20, 20, 9, "cat")) for _ in range(1))])[0]  # one is no center


def percent(rng: random.Random) -> tuple[float, float, float, float]:
    x, y = rng.uniform(0, 60), rng.uniform(0, 60)
    return x, y, rng.uniform(5, 100 - x), rng.uniform(5, 100 - y)


def test_boxes_in_percent_of_their_images_are_refused_with_the_remedy(factory: ImageFactory) -> None:
    rng = random.Random(0)
    images = [factory.image(*(Box(*percent(rng), "cat") for _ in range(4))) for _ in range(20)]
    sizes = {image.url: (1000.0, 600.0) for image in images}
    with pytest.raises(BadAnnotationsError) as error:
        clean(images, sizes)
    assert "All boxes lie within 100 pixels of the upper left corner of their images: https://store/0.png: box" in str(
        error.value
    )
    assert "They look like percent of their images; multiply x and width by a hundredth" in str(error.value)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("size", "others", "count"),
    [
        ((1000, 600), [Box(150, 10, 20, 20, "cat")], 20),
        ((330, 198), [], 20),
        ((1000, 600), [], 2),
        ((1000, 600), None, 20),
    ],
    ids=["one is beyond 100", "small images", "few", "upper left"],
)
def test_boxes_are_no_percent_without_evidence(
    size: tuple[float, float], others: list[Box] | None, count: int, factory: ImageFactory
) -> None:
    rng = random.Random(0)
    boxes = [[Box(*percent(rng), "cat") for _ in range(4)] for _ in range(count)]
    if others is None:
        boxes = [
            [replace(box, x=box.x / 2, y=box.y / 2, width=box.width / 2, height=box.height / 2) for box in four]
            for four in boxes
        ]
    images = [factory.image(*four) for four in boxes]
    images += [factory.image(*others)] if others else []
    assert clean(images, {image.url: size for image in images})[0]


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


@pytest.mark.parametrize(("annotated", "cause"), [((60, 101), "another shape"), ((100, 100), "another shape")])
def test_image_of_another_shape_than_annotated_is_left_out(
    annotated: tuple[int, int], cause: str, factory: ImageFactory
) -> None:
    images = factory.good(5)
    cleaned, (finding,) = clean(images, {images[-1].url: annotated})
    assert cleaned == images[:-1]
    assert finding.what.endswith(f"the image has 100 x 60, {cause}: left out")


@pytest.mark.parametrize(
    "boxes", [[Box(10, 10, 80, 20, "cat")], [Box(10, 10, 20, 20, "cat")]], ids=["only so", "both ways"]
)
def test_swapped_width_and_height_leave_boxes_that_fit_as_they_are(boxes: list[Box], factory: ImageFactory) -> None:
    images = [*factory.good(), factory.image(*boxes)]
    cleaned, (finding,) = clean(images, {images[-1].url: (60, 100)})
    assert cleaned == images
    assert finding == Finding(
        "image",
        "https://store/4.png",
        "annotated with 60 x 100 pixels, the image has 100 x 60: the annotations swap width and height, its boxes are used as they are",
    )


def test_boxes_of_turned_images_are_left_out_even_where_they_fit_both_ways(factory: ImageFactory) -> None:
    tall, small, wide = (factory.image(box) for box in (Box(10, 10, 20, 80, "cat"), CAT, Box(10, 10, 80, 20, "cat")))
    sizes = dict.fromkeys((tall.url, small.url), (60.0, 100.0))
    cleaned, findings = clean([*(good := factory.good()), tall, small], sizes)
    assert cleaned == good
    assert [finding.what.endswith("left out") for finding in findings if finding.kind == "image"] == [True, True]
    cleaned, _ = clean([*good, tall, small, wide], sizes | {wide.url: (60, 100)})
    assert [image.url for image in cleaned[4:]] == [tall.url, small.url, wide.url]  # as many fit one way as the other


def turned(image: LabelledImage) -> LabelledImage:
    """Store the image with its sides exchanged, and an EXIF rotation that shows it as before."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(image.path, "PNG", exif=exif)
    return image


def test_size_of_the_file_before_its_exif_rotation_leaves_boxes_that_fit_only_as_it_is_shown(
    factory: ImageFactory,
) -> None:
    photos = [turned(factory.image(box)) for box in (Box(10, 10, 80, 20, "cat"), CAT)]
    cleaned, findings = clean(photos, dict.fromkeys((photo.url for photo in photos), (60, 100)))
    assert [image.boxes for image in cleaned] == [[Box(10, 10, 80, 20, "cat"), CAT]]  # one picture, merged
    assert findings[0].what.endswith("on the turned photo: the boxes are used as they are")


def test_nothing_tells_whether_boxes_of_a_turned_photo_fit(factory: ImageFactory) -> None:
    photo = turned(factory.image(CAT))
    _, findings = clean([*factory.good(), photo], {photo.url: (60, 100)})
    assert not [finding for finding in findings if "as they are" in finding.what]


def test_sizes_are_those_after_exif_rotation(factory: ImageFactory) -> None:
    rotated = factory.image(Box(0, 0, 50, 90, "cat"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(rotated.path, "PNG", exif=exif)
    images = [*factory.good(), rotated]
    assert clean(images, {rotated.url: (60, 100)}) == ([*images[:-1], replace(rotated, size=(60, 100))], [])


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
