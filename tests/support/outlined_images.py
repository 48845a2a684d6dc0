"""Small generated images with the outlines of their objects: bars, rings and triangles at any angle, which fill little of their boxes."""

import json
import math
import random
from typing import Any

import numpy as np
from PIL import Image

from tests.support.annotated_images import png
from tests.support.http_server import HttpServer
from vott_trainer.annotations import Box, Outline, outlines
from vott_trainer.vision.shapes import Shape

COLOURS = {"bar": (200, 40, 40), "ring": (40, 170, 60), "triangle": (50, 70, 210)}
LABELS = list(COLOURS)
WIDTH, HEIGHT = 160, 120


def image_with_outlines(seed: int) -> tuple[bytes, list[Box]]:
    """A PNG with one object in its left and one in its right half."""
    rng = random.Random(seed)
    pixels = np.full((HEIGHT, WIDTH, 3), rng.randint(120, 180), np.uint8)
    boxes = [_object(rng, half, LABELS[(seed + half) % 3]) for half in (0, 1)]
    for box in boxes:
        pixels[Shape.of(box).mask(HEIGHT, WIDTH)] = COLOURS[box.label]
    return png(Image.fromarray(pixels)), boxes


def serve_outlined(server: HttpServer, count: int) -> str:
    """Serve `count` images and COCO's JSON, with polygons, and run-length masks for those with holes; return the JSON's URL."""
    images, annotations = [], list[dict[str, Any]]()
    for number in range(count):
        content, boxes = image_with_outlines(number)
        url = server.serve(f"/images/{number}.png", content)
        images.append({"id": number, "file_name": url, "width": WIDTH, "height": HEIGHT})
        annotations += [
            {"id": 2 * number + half, "image_id": number, "category_id": LABELS.index(box.label), **_coco(box)}
            for half, box in enumerate(boxes)
        ]
    categories = [{"id": number, "name": label} for number, label in enumerate(LABELS)]
    document = {"images": images, "categories": categories, "annotations": annotations}
    return server.serve("/coco.json", json.dumps(document).encode())


def _object(rng: random.Random, half: int, label: str) -> Box:
    x, y = WIDTH / 4 + half * WIDTH / 2 + rng.uniform(-8, 8), HEIGHT / 2 + rng.uniform(-28, 28)
    angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(20, 30)
    rings: tuple[tuple[float, ...], ...]
    match label:
        case "bar":
            rings = (_points(x, y, radius, [angle, angle + 0.45, angle + math.pi, angle + math.pi + 0.45]),)
        case "ring":
            turns = [2 * math.pi * number / 40 for number in range(40)]
            rings = (_points(x, y, radius, turns), _points(x, y, radius / 2, turns))
        case _:
            rings = (_points(x, y, radius, [angle + 2 * math.pi * number / 3 for number in range(3)]),)
    outline: Outline = (rings,)
    return Box(*outlines.bounding_box(outline), label, outline)


def _points(x: float, y: float, radius: float, angles: list[float]) -> tuple[float, ...]:
    return tuple(value for a in angles for value in (x + radius * math.cos(a), y + radius * math.sin(a)))


def _coco(box: Box) -> dict[str, Any]:
    ((outer, *holes),) = box.outline or ()
    if not holes:
        return {"bbox": [box.x, box.y, box.width, box.height], "segmentation": [list(outer)]}
    flat = Shape.of(box).mask(HEIGHT, WIDTH).flatten(order="F").astype(np.int8)
    ends = [*(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    return {"segmentation": {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *ends]).tolist()}}
