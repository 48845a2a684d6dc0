"""Images come in parallel, each checked before training starts; a few bad ones are left out and listed."""

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import requests
from PIL import ExifTags, Image, ImageOps
from requests.adapters import HTTPAdapter

from vott_trainer.cache import Cache
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError, TrainerError
from vott_trainer.fetch import FetchError, download
from vott_trainer.findings import Finding
from vott_trainer.retry import Backoff
from vott_trainer.urls import redact_url

log = logging.getLogger(__name__)

SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")


@dataclass(frozen=True)
class Limits:
    """What a training accepts: bytes and pixels an image, and the fraction of images that may be left out."""

    image_bytes: int = 64 << 20
    image_pixels: int = 100_000_000
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
    """An image that decodes, but that no browser could show."""


def open_rgb(path: Path) -> Image.Image:
    """Decode an image as a browser shows it: EXIF rotation applied, what is transparent over white, 8-bit RGB.

    Raises:
        OSError: the file is no image, or one with 32 bits a channel (`UnsupportedImageError`).
    """
    with Image.open(path, formats=FORMATS) as image:
        shown = _with_8_bits(ImageOps.exif_transpose(image))
    if shown.has_transparency_data:
        shown = shown.convert("RGBA")
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return shown.convert("RGB")


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits; Pillow's own conversion makes everything above 255 white."""
    if image.mode in ("I", "F"):
        raise UnsupportedImageError("an image with 32 bits a channel: save it with 8 or 16 bits")
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image as a browser shows it, without decoding it."""
    with Image.open(path, formats=FORMATS) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        return (image.height, image.width) if turned else image.size


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
    with _session(limits.workers) as session, ThreadPoolExecutor(limits.workers, "images") as pool:
        fetch = _Fetch(session, folder, limits, backoff or Backoff(attempts=4), cache)
        try:
            for done, (url, future) in enumerate(_completed(pool, fetch, urls), start=1):
                _collect(fetched, url, future)
                _check_dropped(fetched, len(urls), limits)
                on_progress(done, len(urls))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return fetched


@dataclass(frozen=True)
class _Fetch:
    """Downloads and decodes one image; called from many threads."""

    session: requests.Session
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
            with Image.open(path, formats=FORMATS) as image:
                pixels = image.width * image.height
            if pixels <= self.limits.image_pixels:
                open_rgb(path)  # as the training will: broken EXIF data shows only there
        except UnsupportedImageError as error:
            raise FetchError(str(error), passing=False) from error
        except Exception as error:  # a decoder may raise anything on damaged bytes
            raise FetchError("not an image, or a truncated one", passing=False) from error
        if pixels > self.limits.image_pixels:
            raise FetchError(f"more than {self.limits.image_pixels:,} pixels", passing=False)


def _session(workers: int) -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=workers, pool_maxsize=workers))
    return session


def _completed(
    pool: ThreadPoolExecutor, fetch: _Fetch, urls: Sequence[str]
) -> Iterator[tuple[str, Future[tuple[Path, bool]]]]:
    futures = {pool.submit(fetch, url): url for url in urls}
    for future in as_completed(futures):
        yield futures[future], future


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
    examples = "; ".join(f"{image.where}: {image.what}" for image in itertools.islice(fetched.dropped, 3))
    text = f"{len(fetched.dropped)} of {total} images can't be used, at most {limits.droppable(total)} may be left out: {examples}."
    raise _too_many(text, all_passing=fetched.passing == len(fetched.dropped))


def _too_many(text: str, *, all_passing: bool) -> TrainerError:
    if all_passing:
        return TemporaryFailureError(f"{text} Check that the store of the images answers, then send the message again.")
    return NoUsableImagesError(f"{text} Check that these links are valid and not expired, then send the message again.")
