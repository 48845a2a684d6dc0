"""Images come in parallel, each checked before training starts; a few bad ones are left out and listed."""

import contextlib
import hashlib
import itertools
import logging
import mmap
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from vott_trainer.annotations.findings import Finding
from vott_trainer.data import jpeg
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError, TrainerError
from vott_trainer.http.fetch import FetchError, download
from vott_trainer.http.image_cache import Cache
from vott_trainer.http.outgoing import Session
from vott_trainer.http.retry import Backoff
from vott_trainer.http.urls import redact_url

log = logging.getLogger(__name__)

SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
SECONDS = 300.0  # for one image
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")  # none of them starts a program, as PostScript does
MOST_PIXELS = 100_000_000  # an image
TILE_SIDES = (322, 323)  # width and length of a TIFF's tiles (TIFF 6.0, section 15)
PNG_TURNS = re.compile(rb"eXIf|Raw profile type exif|XML:com\.adobe\.xmp")  # what may say how to turn a PNG
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # beyond it Pillow warns, beyond twice as many it raises
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the size is looked at here


@dataclass(frozen=True)
class Limits:
    """What a training accepts: bytes and pixels an image, and the fraction of images that may be left out."""

    image_bytes: int = 64 << 20
    image_pixels: int = MOST_PIXELS
    dropped_fraction: float = 0.1
    workers: int = 16

    def droppable(self, total: int) -> int:
        """Return how many of `total` images may be left out: at least one."""
        return max(1, int(total * self.dropped_fraction))


@dataclass
class Fetched:
    """The files that came, by URL, and what was left out."""

    files: dict[str, Path] = field(default_factory=dict)
    dropped: list[Finding] = field(default_factory=list)
    passing: int = 0  # how many were left out for a fault that may pass
    cached: int = 0  # how many came from the cache


class UnsupportedImageError(OSError):
    """An image that decodes, but that no browser could show, or only with more memory and time than it is worth."""


class Room:
    """How many pixels are decoded at once, by all threads together: one takes up to 17 bytes meanwhile."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait for room; an image that is larger than all of it is decoded alone."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


ROOM = Room(2 * MOST_PIXELS)


def open_rgb(path: Path, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """Decode an image as a browser shows it: EXIF rotation applied, what is transparent over white, 8-bit RGB.

    Of several frames or pages the first one is shown.

    Raises:
        OSError: the file is no image, or one that is not accepted (`UnsupportedImageError`): more pixels than `most_pixels`, 32 bits a
            channel, a JPEG of very many scans or segments.
    """
    with _opened(path, most_pixels) as image, ROOM.taken(_pixels(path, image)):
        return _rgb(image)


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image as a browser shows it; what can't be turned is not decoded."""
    with _opened(path, MOST_PIXELS) as image:
        return (image.height, image.width) if _is_sideways(path, image) else image.size


def _is_sideways(path: Path, image: Image.Image) -> bool:
    if image.format == "PNG" and not _holds(PNG_TURNS, path):
        return False  # Pillow would decode it, to look behind the pixels
    with ROOM.taken(_pixels(path, image)):
        return image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS


@contextlib.contextmanager
def _opened(path: Path, most_pixels: int) -> Iterator[Image.Image]:
    """Read the header only; Pillow itself looks at the size again where a format tells it a second time."""
    if why := jpeg.objection(path):
        raise UnsupportedImageError(why)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if _pixels(path, image) > most_pixels:
                raise Image.DecompressionBombError
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsupportedImageError(f"more than {most_pixels:,} pixels") from error


def _pixels(path: Path, image: Image.Image) -> int:
    """Return how many pixels are decoded: of a TIFF whole tiles, however little of them the image shows."""
    sides = _tile(path) if image.format == "TIFF" else (1, 1)
    width, height = (-(-shown // side) * side for shown, side in zip(image.size, sides, strict=True))
    return width * height


def _tile(path: Path) -> tuple[int, int]:
    """Return width and height of a TIFF's tiles, 1 where it has none; Pillow may read other ones than libtiff, which decodes them."""
    with path.open("rb") as file:
        head = file.read(16)
        order, is_big = "<" if head.startswith(b"II") else ">", 43 in head[2:4]  # BigTIFF
        (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
        file.seek(start)
        count, entry = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if is_big else ("H", "HHI4s")))
        rows = file.read(min(0xFFFF, *count.unpack(file.read(count.size))) * entry.size)
    entries = list(entry.iter_unpack(rows[: len(rows) // entry.size * entry.size]))
    width, height = (_side(order, [rest for tag, *rest in entries if tag == side]) for side in TILE_SIDES)
    return width, height


def _side(order: str, found: Sequence[Sequence[Any]]) -> int:
    """Return the one value of a tag, given as type, count and value."""
    forms = {3: "H", 4: "I"}  # SHORT and LONG: no other type may say the side of a tile
    if not found:
        return 1
    if len(found) > 1 or found[0][0] not in forms or found[0][1] != 1:
        raise UnsupportedImageError("a TIFF that does not say the size of its tiles as its format has it")
    side: int = struct.unpack_from(order + forms[found[0][0]], found[0][2])[0]
    return max(1, side)


def _holds(pattern: re.Pattern[bytes], path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(pattern.search(content))


def _rgb(image: Image.Image) -> Image.Image:
    """Decode, with as few copies as can be."""
    ImageOps.exif_transpose(image, in_place=True)
    shown = _with_8_bits(image)
    if not shown.has_transparency_data:
        return shown if shown.mode == "RGB" else shown.convert("RGB")
    shown = shown if shown.mode == "RGBA" else shown.convert("RGBA")
    over_white = Image.new("RGB", shown.size, "white")
    over_white.paste(shown, mask=shown)
    return over_white


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits; Pillow's own conversion makes everything above 255 white."""
    if image.mode in ("I", "F"):
        raise UnsupportedImageError("an image with 32 bits a channel: save it with 8 or 16 bits")
    image.load()
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image


def path_of(url: str, folder: Path) -> Path:
    """Return where in `folder` the image of a URL lies."""
    return folder / hashlib.sha256(url.encode()).hexdigest()[:32]


def fetch_all(
    urls: Sequence[str],
    folder: Path,
    *,
    limits: Limits | None = None,
    backoff: Backoff | None = None,
    cache: Cache | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Fetched:
    """Download and check every image.

    Args:
        cache: the images of earlier trainings.
        on_progress: told how many of how many images are done.

    Raises:
        NoUsableImagesError: more images failed than the limits allow.
        TemporaryFailureError: the same, and each failure may pass.
    """
    limits = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    fetched = Fetched()
    with Session(SECONDS, limits.workers) as session, ThreadPoolExecutor(limits.workers, "images") as pool:
        fetch = _Fetch(session, folder, limits, backoff or Backoff(attempts=4), cache)
        try:
            for done, (url, future) in enumerate(_completed(pool, fetch, urls, limits.workers * 2), start=1):
                _collect(fetched, url, future)
                _check_dropped(fetched, len(urls), limits)
                on_progress(done, len(urls))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return fetched


@dataclass(frozen=True)
class _Fetch:
    """Downloads and decodes one image; called from many threads."""

    session: Session
    folder: Path
    limits: Limits
    backoff: Backoff
    cache: Cache | None

    def __call__(self, url: str) -> tuple[Path, bool]:
        """Return where the image lies, and whether it came from the cache."""
        path = path_of(url, self.folder)
        limit = self.limits.image_bytes
        cached = download(self.session, url, path, limit=limit, backoff=self.backoff, cache=self.cache)
        self._check(path)
        return path, cached

    def _check(self, path: Path) -> None:
        try:
            open_rgb(path, self.limits.image_pixels)  # as the training will: broken EXIF data shows only there
        except UnsupportedImageError as error:
            raise FetchError(str(error), passing=False) from error
        except Exception as error:  # a decoder may raise anything on damaged bytes
            raise FetchError("not an image, or a truncated one", passing=False) from error


def _completed(
    pool: ThreadPoolExecutor, fetch: _Fetch, urls: Sequence[str], ahead: int
) -> Iterator[tuple[str, Future[tuple[Path, bool]]]]:
    """Yield what is done, in whatever order; millions of URLs do not wait all at once."""
    rest, waiting = iter(urls), dict[Future[tuple[Path, bool]], str]()
    while waiting := waiting | {pool.submit(fetch, url): url for url in itertools.islice(rest, ahead - len(waiting))}:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future


def _collect(fetched: Fetched, url: str, future: Future[tuple[Path, bool]]) -> None:
    try:
        fetched.files[url], cached = future.result()
        fetched.cached += cached
    except FetchError as error:
        log.warning("image left out: %s: %s", redact_url(url), error)
        fetched.dropped.append(Finding("image", redact_url(url), str(error)))
        fetched.passing += error.passing


def _check_dropped(fetched: Fetched, total: int, limits: Limits) -> None:
    if len(fetched.dropped) <= limits.droppable(total) and len(fetched.dropped) < total:
        return
    examples = "; ".join(f"{image.where}: {image.what.rstrip('.')}" for image in itertools.islice(fetched.dropped, 3))
    text = f"{len(fetched.dropped)} of {total} images can't be used, at most {limits.droppable(total)} may be left out: {examples}."
    raise _too_many(text, all_passing=fetched.passing == len(fetched.dropped))


def _too_many(text: str, *, all_passing: bool) -> TrainerError:
    if all_passing:
        return TemporaryFailureError(f"{text} Check that the store of the images answers, then send the message again.")
    return NoUsableImagesError(f"{text} Check that these links are valid and not expired, then send the message again.")
