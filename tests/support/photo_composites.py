"""Photographs with exact boxes: cut-out photographs of animals and fruit from Debian packages, pasted on photographs.

Specimens (all pictures of one animal or fruit) and backgrounds are divided between training and measuring, so that a model can't succeed
by remembering them.
"""

import functools
import io
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tests.support.debian_files import unpacked

Mask = npt.NDArray[np.bool_]
PACKAGES = ("tuxpaint-stamps-default", "mate-backgrounds")
BACKGROUNDS = "usr/share/backgrounds/mate/nature"
STAMPS = "usr/share/tuxpaint/stamps"
FOLDERS = {
    "bird": ["animals/birds"],
    "fruit": ["food/fruit"],
    "grazer": [f"animals/mammals/{family}" for family in ("bovines", "camel", "deer", "equines")],
}
SIZE = WIDTH, HEIGHT = 480, 360
HELD_OUT = 3  # every third specimen and background
OPAQUE = 128
VISIBLE = 0.6  # the least share of an object that others leave visible


@dataclass(frozen=True)
class Object:
    """The box around the visible part of an object, in pixels."""

    x: int
    y: int
    width: int
    height: int
    label: str


@dataclass(frozen=True)
class Photo:
    """A JPEG with its objects."""

    name: str
    jpeg: bytes
    objects: list[Object]


@dataclass(frozen=True)
class Material:
    """Files to compose photographs from; `stamps` by class and specimen."""

    backgrounds: list[Path]
    stamps: dict[str, dict[str, list[Path]]]

    def photos(self, count: int, seed: int) -> list[Photo]:
        """Compose photographs; the same seed composes the same ones."""
        rng = random.Random(seed)
        return [self._photo(f"photo-{seed}-{number}.jpg", rng) for number in range(count)]

    def _photo(self, name: str, rng: random.Random) -> Photo:
        canvas = _background(rng.choice(self.backgrounds), rng)
        placed: list[tuple[str, Mask]] = []  # with the visible part of each object
        for _ in range(rng.choice((1, 2, 2, 3))):
            label = rng.choice(list(self.stamps))
            stamp = _stamp(rng.choice(rng.choice(list(self.stamps[label].values()))), rng)
            if position := _free_position(stamp, placed, rng):
                canvas.paste(stamp, position, stamp)
                mask = _mask(stamp, position)
                placed = [(other, visible & ~mask) for other, visible in placed] + [(label, mask)]
        return Photo(name, _camera(canvas, rng), [_object(label, mask) for label, mask in placed])


def training_and_unseen() -> tuple[Material, Material]:
    """Material for training, and material that has no specimen and no background in common with it."""
    root = unpacked(*PACKAGES)
    backgrounds = sorted((root / BACKGROUNDS).glob("*.jpg"))
    stamps = {label: _specimens(root / STAMPS, folders) for label, folders in FOLDERS.items()}
    training, unseen = (
        Material(
            [path for number, path in enumerate(backgrounds) if (number % HELD_OUT == 0) == is_held_out],
            {
                label: {
                    name: files for n, (name, files) in enumerate(found.items()) if (n % HELD_OUT == 0) == is_held_out
                }
                for label, found in stamps.items()
            },
        )
        for is_held_out in (False, True)
    )
    return training, unseen


def _specimens(root: Path, folders: Sequence[str]) -> dict[str, list[Path]]:
    """Files by the first word of their names: `gnu-baby.png` and `gnu-stand.png` may show the same animal."""
    specimens: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in sorted((root / folder).glob("*.png")):
            specimens[re.split(r"[^a-z]", path.stem.lower())[0]].append(path)
    return dict(sorted(specimens.items()))


@functools.cache
def _read_background(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.fit(photo.convert("RGB"), (2 * WIDTH, 2 * HEIGHT))


@functools.cache
def _read_stamp(path: Path) -> Image.Image:
    with Image.open(path) as file:
        stamp = file.convert("RGBA")
    stamp.thumbnail(SIZE)
    return stamp


def _background(path: Path, rng: random.Random) -> Image.Image:
    """A random part of a photograph."""
    whole = _read_background(path)
    share = rng.uniform(0.5, 1)
    width, height = round(share * whole.width), round(share * whole.height)
    left, top = rng.randint(0, whole.width - width), rng.randint(0, whole.height - height)
    return whole.crop((left, top, left + width, top + height)).resize(SIZE)


def _stamp(path: Path, rng: random.Random) -> Image.Image:
    """A cut-out in another size, orientation and light."""
    stamp = _read_stamp(path)
    if rng.random() < 0.5:
        stamp = ImageOps.mirror(stamp)
    stamp = stamp.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC, expand=True)
    stamp = stamp.crop(stamp.getchannel("A").point(_is_opaque).getbbox())
    scale = rng.uniform(0.25, 0.65) * HEIGHT / max(stamp.size)
    stamp = stamp.resize((max(1, round(scale * stamp.width)), max(1, round(scale * stamp.height))))
    lit = ImageEnhance.Brightness(stamp.convert("RGB")).enhance(rng.uniform(0.7, 1.3))
    lit.putalpha(stamp.getchannel("A"))
    return lit


def _is_opaque(alpha: int) -> int:
    return 255 if alpha >= OPAQUE else 0


def _free_position(
    stamp: Image.Image, placed: Sequence[tuple[str, Mask]], rng: random.Random
) -> tuple[int, int] | None:
    """A position where enough of the other objects stays visible; None if none was found."""
    for _ in range(20):
        position = rng.randint(0, WIDTH - stamp.width), rng.randint(0, HEIGHT - stamp.height)
        mask = _mask(stamp, position)
        if all((visible & ~mask).sum() >= VISIBLE * visible.sum() for _, visible in placed):
            return position
    return None


def _mask(stamp: Image.Image, position: tuple[int, int]) -> Mask:
    """The opaque pixels of a stamp in the photograph."""
    left, top = position
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + stamp.height, left : left + stamp.width] = np.asarray(stamp.getchannel("A")) >= OPAQUE
    return mask


def _object(label: str, visible: Mask) -> Object:
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return Object(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1, label)


def _camera(canvas: Image.Image, rng: random.Random) -> bytes:
    """A JPEG of the picture, a little out of focus and noisy."""
    blurred = np.asarray(canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2))), np.float32)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(0, 8), blurred.shape)
    pixels = (blurred + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "JPEG", quality=rng.randint(60, 92))
    return buffer.getvalue()
