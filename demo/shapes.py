"""Generate annotated images: circles, squares and triangles on a noisy background."""

import colorsys
import io
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

CLASSES = ("circle", "square", "triangle")
WIDTH, HEIGHT = 320, 240
SMALLEST, LARGEST = 48, 96
MARGIN = 6
SUPERSAMPLING = 2
HUES = {"circle": 0.0, "square": 0.33, "triangle": 0.62}
HUE_JITTER = 0.09


@dataclass(frozen=True)
class Box:
    """One object of an image, in pixels from the upper left corner."""

    x: int
    y: int
    width: int
    height: int
    label: str

    def overlaps(self, other: "Box", gap: int = MARGIN) -> bool:
        """Whether the boxes are less than `gap` pixels apart."""
        return (
            self.x < other.x + other.width + gap
            and other.x < self.x + self.width + gap
            and self.y < other.y + other.height + gap
            and other.y < self.y + self.height + gap
        )


@dataclass(frozen=True)
class AnnotatedImage:
    """A JPEG file and its objects."""

    name: str
    jpeg: bytes
    boxes: tuple[Box, ...]


def annotated_images(count: int, seed: int = 1) -> Iterator[AnnotatedImage]:
    """Yield `count` images of 320x240 pixels with one to four objects each; the same seed gives the same images."""
    rng = random.Random(seed)  # nosec B311 # not for security
    labels = itertools.cycle(CLASSES)  # all classes are equally frequent
    for index in range(count):
        boxes = _place(rng, labels)
        yield AnnotatedImage(f"shapes-{index:03}.jpg", _draw(rng, boxes), boxes)


def _place(rng: random.Random, labels: Iterator[str]) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for _ in range(rng.randint(1, 4)):
        size = rng.randint(SMALLEST, LARGEST)
        for _ in range(30):  # give up when the image is full
            x, y = rng.randint(MARGIN, WIDTH - size - MARGIN), rng.randint(MARGIN, HEIGHT - size - MARGIN)
            box = Box(x, y, size, size, "")
            if not any(box.overlaps(other) for other in boxes):
                boxes.append(Box(x, y, size, size, next(labels)))
                break
    return tuple(boxes)


def _draw(rng: random.Random, boxes: tuple[Box, ...]) -> bytes:
    image = _background(rng).resize((WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING))
    draw = ImageDraw.Draw(image)
    for box in boxes:
        _draw_shape(draw, box, _colour(rng, box.label))
    smooth = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    _with_noise(rng, smooth).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _background(rng: random.Random) -> Image.Image:
    """A gradient between two muted colours at a random angle."""
    ramp = Image.linear_gradient("L").rotate(math.degrees(rng.uniform(0, 2 * math.pi)), Image.Resampling.BICUBIC)
    ramp = ramp.crop((38, 38, 218, 218)).resize((WIDTH, HEIGHT))  # crop the corners that the rotation left empty
    colours = [tuple(rng.randint(70, 185) for _ in "rgb") for _ in range(2)]
    first, second = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in colours)
    return Image.composite(first, second, ramp)


def _with_noise(rng: random.Random, image: Image.Image) -> Image.Image:
    noise = Image.frombytes("L", image.size, rng.randbytes(WIDTH * HEIGHT)).point([value // 8 for value in range(256)])
    return ImageChops.add(image, noise.convert("RGB"), offset=-16)


def _colour(rng: random.Random, label: str) -> tuple[int, int, int]:
    hue = (HUES[label] + rng.uniform(-HUE_JITTER, HUE_JITTER)) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, rng.uniform(0.65, 1.0), rng.uniform(0.6, 1.0))
    return round(red * 255), round(green * 255), round(blue * 255)


def _draw_shape(draw: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int]) -> None:
    left, top = box.x * SUPERSAMPLING, box.y * SUPERSAMPLING
    right, bottom = left + box.width * SUPERSAMPLING - 1, top + box.height * SUPERSAMPLING - 1
    outline = tuple(value // 3 for value in colour)
    match box.label:
        case "circle":
            draw.ellipse((left, top, right, bottom), fill=colour, outline=outline, width=SUPERSAMPLING)
        case "square":
            draw.rectangle((left, top, right, bottom), fill=colour, outline=outline, width=SUPERSAMPLING)
        case _:
            corners = [((left + right) // 2, top), (right, bottom), (left, bottom)]
            draw.polygon(corners, fill=colour, outline=outline, width=SUPERSAMPLING)
