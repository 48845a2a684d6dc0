"""Images of one class each: shapes without colours."""

import io

from PIL import Image

from tests.unit.trainer.http_server import HttpServer
from tests.unit.trainer.shapes import WIDTH, image_with_shapes, png


def one_shape(seed: int) -> tuple[bytes, str]:
    """A grey image of one shape, and its class."""
    content, shapes = image_with_shapes(seed)
    half = Image.open(io.BytesIO(content)).crop((0, 0, WIDTH // 2, WIDTH // 2)).convert("L").convert("RGB")
    return png(half), shapes[0].label


def classified(server: HttpServer, count: int) -> str:
    """Serve `count` images of one shape each and lines of url,class; return the file's URL."""
    lines = []
    for number in range(count):
        content, label = one_shape(number)
        lines.append(f"{server.serve(f'/images/{number}.png', content)},{label}")
    return server.serve("/annotations.csv", "\n".join(lines).encode())
