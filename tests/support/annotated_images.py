"""Small generated images with their annotations: red circles, green squares and blue triangles on grey, boxed or classified."""

import io
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from tests.support.http_server import HttpServer

COLOURS = {"circle": (200, 40, 40), "square": (40, 170, 60), "triangle": (50, 70, 210)}
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True)
class Shape:
    """One object: upper left corner and side, in pixels."""

    x: int
    y: int
    side: int
    label: str


def image_with_shapes(seed: int) -> tuple[bytes, list[Shape]]:
    """A PNG with one shape in its left and one in its right half."""
    rng = random.Random(seed)
    image = Image.new("RGB", (WIDTH, HEIGHT), (rng.randint(120, 180),) * 3)
    shapes = [_shape(rng, half, (seed + half) % 3) for half in (0, 1)]
    for shape in shapes:
        _draw(ImageDraw.Draw(image), shape)
    return png(image), shapes


def one_shape(seed: int) -> tuple[bytes, str]:
    """A PNG of one grey shape, and its class."""
    content, shapes = image_with_shapes(seed)
    half = Image.open(io.BytesIO(content)).crop((0, 0, WIDTH // 2, WIDTH // 2)).convert("L").convert("RGB")
    return png(half), shapes[0].label


def serve_annotated(server: HttpServer, count: int) -> str:
    """Serve `count` images and an annotations file with their boxes; return the file's URL."""
    lines = []
    for number in range(count):
        content, shapes = image_with_shapes(number)
        url = server.serve(f"/images/{number}.png", content)
        lines += [f"{url},{s.x},{s.y},{s.side},{s.side},{s.label}" for s in shapes]
    return server.serve("/annotations.csv", "\n".join(lines).encode())


def serve_classified(server: HttpServer, count: int) -> str:
    """Serve `count` images of one shape each and an annotations file with their classes; return the file's URL."""
    lines = []
    for number in range(count):
        content, label = one_shape(number)
        lines.append(f"{server.serve(f'/images/{number}.png', content)},{label}")
    return server.serve("/annotations.csv", "\n".join(lines).encode())


def png(image: Image.Image) -> bytes:
    """The image's file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _shape(rng: random.Random, half: int, label: int) -> Shape:
    side = rng.randint(32, 60)
    x = half * WIDTH // 2 + rng.randint(2, WIDTH // 2 - side - 2)
    return Shape(x, rng.randint(2, HEIGHT - side - 2), side, list(COLOURS)[label])


def _draw(canvas: ImageDraw.ImageDraw, shape: Shape) -> None:
    left, top, right, bottom = shape.x, shape.y, shape.x + shape.side - 1, shape.y + shape.side - 1
    match shape.label:
        case "circle":
            canvas.ellipse((left, top, right, bottom), fill=COLOURS[shape.label])
        case "square":
            canvas.rectangle((left, top, right, bottom), fill=COLOURS[shape.label])
        case _:
            canvas.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=COLOURS[shape.label])
