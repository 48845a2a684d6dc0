"""What is found in data whose files are sound, what becomes of it, and when it is too much."""

import pickle
import random
from pathlib import Path

import pytest
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.annotations.findings import MAX_LISTED, Finding, Findings
from vott_trainer.data.checks import clean, labels_of
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.plugin_api import LabelledImage

WIDTH, HEIGHT = 100, 60
CAT, DOG = Box(10, 10, 20, 20, "cat"), Box(40, 10, 20, 20, "dog")


class Album:
    """Makes annotated images; each is another picture unless `like` names an earlier one."""

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
def album(tmp_path: Path) -> Album:
    return Album(tmp_path)


def test_good_images_stay_as_they_are(album: Album) -> None:
    images = [*album.good(), album.image()]
    assert clean(images) == (images, [])


@pytest.mark.parametrize(
    ("box", "what"),
    [
        (Box(10, 10, 0, 5, "cat"), "box of cat at x 10, y 10, 0 x 5 pixels has no area: left out"),
        (Box(10, 10, -4, 5, "cat"), "box of cat at x 10, y 10, -4 x 5 pixels has no area: left out"),
        (Box(120, 10, 9, 9, "cat"), "box of cat at x 120, y 10, 9 x 9 pixels lies outside of the image of 100 x 60: left out"),
        (Box(99.5, 10, 9, 9, "cat"), "box of cat at x 99.5, y 10, 9 x 9 pixels lies outside of the image of 100 x 60: left out"),
    ],
)  # fmt: skip
def test_box_with_nothing_inside_is_left_out_and_told(box: Box, what: str, album: Album) -> None:
    images = [*album.good(), album.image(box, DOG)]
    cleaned, findings = clean(images)
    assert cleaned[-1].boxes == [DOG]
    assert findings == [Finding("box", "https://store/4.png", what)]


def test_box_that_sticks_out_is_cut_off_and_told(album: Album) -> None:
    cleaned, findings = clean([*album.good(), album.image(Box(-5, 50, 20, 20, "cat"))])
    assert cleaned[-1].boxes == [Box(0, 50, 15, 10, "cat")]
    assert [finding.what for finding in findings] == [
        "box of cat at x -5, y 50, 20 x 20 pixels reaches beyond the image of 100 x 60: cut off there"
    ]


def test_rounding_at_the_edge_is_not_worth_a_word(album: Album) -> None:
    cleaned, findings = clean([*album.good(), album.image(Box(-0.5, -0.5, 101, 61, "cat"))])
    assert cleaned[-1].boxes == [Box(0, 0, 100, 60, "cat")]
    assert findings == []


@pytest.mark.parametrize("box", [Box(0.1, 0.1, 1, 1, "cat"), Box(7.2, 20, 1, 1, "cat"), Box(99, 59, 1, 1, "cat")])
def test_box_of_a_pixel_is_kept_whatever_rounding_does_to_its_sides(box: Box, album: Album) -> None:
    cleaned, findings = clean([*album.good(), album.image(box)])
    (kept,) = cleaned[-1].boxes
    assert (kept.x, kept.y, kept.width, kept.height) == pytest.approx((box.x, box.y, box.width, box.height))
    assert findings == []


@pytest.mark.parametrize(
    "box", [Box(10, 10, 0.5, 0.5, "cat"), Box(10, 10, 0.5, 9, "cat"), Box(0.1, 0.2, 0.3, 0.4, "cat")]
)
def test_box_smaller_than_a_pixel_is_left_out_and_told(box: Box, album: Album) -> None:
    cleaned, (finding,) = clean([*album.good(), album.image(box)])
    assert cleaned[-1].boxes == []
    assert finding.what.endswith("pixels is smaller than a pixel: left out")


@pytest.mark.parametrize("whole", [Box(0, 0, 1, 1, "cat"), Box(0.2, 0.1, 0.6, 1, "cat")])
def test_boxes_in_fractions_of_their_images_are_refused_with_what_to_do(whole: Box, album: Album) -> None:
    images = [album.image(Box(0.525, 0.24, 0.002, 0.003, "cat"), whole) for _ in range(3)]
    with pytest.raises(BadAnnotationsError) as error:
        clean(images, {images[0].url: (1000, 600)})
    said = str(error.value)
    assert (
        "6 of 6 boxes are smaller than a pixel: https://store/0.png: box of cat at x 0.525, y 0.24, 0.002 x 0.003"
        in said
    )
    assert "multiply x and width by the image's width" in said
    assert "SECRET" not in said


def test_boxes_of_a_large_image_that_shrink_to_nothing_are_no_fractions(album: Album) -> None:
    images = [*album.good(2), *(album.image(Box(10, 10, 9, 9, "cat")) for _ in range(6))]
    cleaned, _ = clean(images, {image.url: (2000, 1200) for image in images[2:]})
    assert [len(image.boxes) for image in cleaned] == [2, 2, 0, 0, 0, 0, 0, 0]


def test_boxes_that_mostly_do_not_fit_are_refused_with_the_likely_reason(album: Album) -> None:
    images = [album.image(CAT, Box(50, 30, 90, 55, "dog"), Box(60, 10, 80, 30, "cat")) for _ in range(3)]
    with pytest.raises(BadAnnotationsError) as error:
        clean(images)
    said = str(error.value)
    assert "6 of 9 boxes do not fit their images: https://store/0.png: box of dog at x 50" in said
    assert "annotationFormat must be corners" in said
    assert "SECRET" not in said


def centred(rng: random.Random) -> tuple[float, float, float, float]:
    """The corners of an object near the middle of its image."""
    sides = [(side, rng.uniform(0.2, 0.5) * side, side * rng.gauss(0.5, 0.05)) for side in (WIDTH, HEIGHT)]
    (x1, x2), (y1, y2) = ((middle - length / 2, middle + length / 2) for _, length, middle in sides)
    return x1, y1, x2, y2


def test_forgotten_corners_of_centred_objects_are_refused(album: Album) -> None:
    rng = random.Random(0)
    images = [album.image(Box(*centred(rng), "cat")) for _ in range(100)]
    with pytest.raises(BadAnnotationsError, match="annotationFormat must be corners"):
        clean(images)


def test_centred_objects_that_are_no_corners_stay(album: Album) -> None:
    rng = random.Random(0)
    corners = [centred(rng) for _ in range(100)]
    images = [album.image(Box(x1, y1, x2 - x1, y2 - y1, "cat")) for x1, y1, x2, y2 in corners]
    assert clean(images) == (images, [])


def test_a_few_boxes_far_beyond_their_images_are_cut_where_others_can_be_no_corners(album: Album) -> None:
    images = [*album.good(8), *(album.image(Box(70, 30, 75, 60, "cat")) for _ in range(4))]
    assert [len(image.boxes) for image in clean(images)[0]] == [2] * 8 + [1] * 4


def test_image_of_another_size_than_annotated_has_its_boxes_scaled(album: Album) -> None:
    images = [*album.good(), album.image(Box(20, 20, 40, 40, "cat"))]
    cleaned, findings = clean(images, {images[-1].url: (200, 120)})
    assert cleaned[-1].boxes == [Box(10, 10, 20, 20, "cat")]
    assert findings == [
        Finding("image", "https://store/4.png", "the annotations say 200 x 120 pixels, the image has 100 x 60: its boxes are scaled")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "why"), [((60, 100), "annotated without its EXIF rotation"), ((100, 100), "another shape")]
)
def test_image_of_another_shape_than_annotated_is_left_out(said: tuple[int, int], why: str, album: Album) -> None:
    images = album.good(5)
    cleaned, (finding,) = clean(images, {images[-1].url: said})
    assert cleaned == images[:-1]
    assert finding.what.endswith(f"the image has 100 x 60, {why}: left out")


def test_sizes_are_those_that_a_browser_shows(album: Album) -> None:
    turned = album.image(Box(0, 0, 50, 90, "cat"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(turned.path, "PNG", exif=exif)
    images = [*album.good(), turned]
    assert clean(images, {turned.url: (60, 100)}) == (images, [])


def test_same_box_twice_counts_once(album: Album) -> None:
    cleaned, findings = clean([*album.good(), album.image(CAT, DOG, CAT, CAT)])
    assert cleaned[-1].boxes == [CAT, DOG]
    assert findings == [Finding("duplicate", "https://store/4.png", "2 boxes are there more than once, counted once")]


def test_same_picture_under_two_urls_is_one_with_the_boxes_of_both(album: Album) -> None:
    first, *others = album.good()
    again = album.image(CAT, Box(1, 1, 9, 9, "cat"), like=first)
    cleaned, findings = clean([first, *others, again])
    assert [image.url for image in cleaned] == [image.url for image in [first, *others]]
    assert cleaned[0].boxes == [CAT, DOG, Box(1, 1, 9, 9, "cat")]
    assert findings == [
        Finding("duplicate", "https://store/4.png", "the same picture as https://store/0.png, with which it is counted as one")
    ]  # fmt: skip


def test_same_picture_with_two_classes_is_told(album: Album) -> None:
    cat = album.image(label="cat")
    images = [
        cat,
        album.image(label="cat"),
        album.image(label="dog"),
        album.image(label="dog"),
        album.image(label="dog", like=cat),
    ]
    cleaned, (finding,) = clean(images)
    assert cleaned == images[:-1]
    assert finding.what.endswith("there it is cat, here dog: the former counts")


def test_class_with_one_example_is_told(album: Album) -> None:
    findings = clean([*album.good(), album.image(Box(1, 1, 9, 9, "yak"))])[1]
    assert findings == [
        Finding("class", "yak", "has one example only: too few to learn it and to measure it, annotate more")
    ]


def test_class_without_a_usable_example_is_told_and_is_no_label(album: Album) -> None:
    cleaned, findings = clean([*album.good(), album.image(Box(200, 1, 9, 9, "yak"))])
    assert [finding.kind for finding in findings] == ["box", "class"]
    assert labels_of(cleaned) == ["cat", "dog"]


def test_many_findings_of_a_kind_are_counted_not_listed(album: Album) -> None:
    beyond = [Box(x, 50, 20, 12, "cat") for x in range(40)]
    findings = clean([*album.good(), album.image(*beyond)])[1]
    assert len(findings) == MAX_LISTED + 1
    assert findings[-1] == Finding("box", "", "20 more of this kind")


def test_findings_beyond_the_listed_ones_take_no_memory() -> None:
    findings = Findings()
    for number in range(50_000):
        findings.add(Finding("box", str(number), "lies outside"))
    assert len(findings) == 50_000
    assert len(pickle.dumps(findings)) < 3000
    assert findings.listed()[-1] == Finding("box", "", "49,980 more of this kind")
