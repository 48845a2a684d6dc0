"""Download the images in parallel and decode each once; a few bad ones are left out and listed, too many are an error."""

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from vott_guard.redaction import redact_url
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.pixel_limits import MAX_PIXELS
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError, TrainerError
from vott_trainer.http.fetch import FetchError, download
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session

log = logging.getLogger(__name__)

SECONDS = 300.0  # for one image


@dataclass(frozen=True)
class ImageLimits:
    """Bytes and pixels of an image, the fraction of images that may be left out, and download threads."""

    image_bytes: int = 64 << 20
    image_pixels: int = MAX_PIXELS
    dropped_fraction: float = 0.1
    workers: int = 16

    def max_dropped(self, total: int) -> int:
        """Return how many of `total` images may be left out: at least one."""
        return max(1, int(total * self.dropped_fraction))


@dataclass
class Downloaded:
    """The usable images, by URL, and those left out."""

    files: dict[str, Path] = field(default_factory=dict)
    dropped: list[Finding] = field(default_factory=list)
    temporary: int = 0  # dropped images that may be downloaded later
    cached: int = 0  # images from the cache


def path_of(url: str, folder: Path) -> Path:
    """Return the path of a URL's image in `folder`."""
    return folder / hashlib.sha256(url.encode()).hexdigest()[:32]


def download_images(
    urls: Sequence[str],
    folder: Path,
    *,
    limits: ImageLimits | None = None,
    policy: RetryPolicy | None = None,
    cache: ImageCache | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Downloaded:
    """Download and check every image.

    Args:
        cache: images of earlier trainings.
        on_progress: called with the number of finished images and of all.

    Raises:
        NoUsableImagesError: more images failed than the limits allow.
        TemporaryFailureError: the same, and every failure may be temporary.
    """
    limits = limits or ImageLimits()
    folder.mkdir(parents=True, exist_ok=True)
    downloaded = Downloaded()
    with Session(SECONDS, limits.workers) as session, ThreadPoolExecutor(limits.workers, "images") as pool:
        job = _Download(session, folder, limits, policy or RetryPolicy(attempts=4), cache)
        try:
            for done, (url, future) in enumerate(_completed(pool, job, urls, limits.workers * 2), start=1):
                _collect(downloaded, url, future)
                _check_dropped(downloaded, len(urls), limits)
                on_progress(done, len(urls))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return downloaded


@dataclass(frozen=True)
class _Download:
    """Downloads and decodes one image; called from many threads."""

    session: Session
    folder: Path
    limits: ImageLimits
    policy: RetryPolicy
    cache: ImageCache | None

    def __call__(self, url: str) -> tuple[Path, bool]:
        """Return the image's path, and whether it came from the cache."""
        path = path_of(url, self.folder)
        limit = self.limits.image_bytes
        cached = download(self.session, url, path, limit=limit, policy=self.policy, cache=self.cache)
        self.check(path)
        return path, cached

    def check(self, path: Path) -> None:
        """Decode the image as the training will: broken EXIF data shows only there."""
        try:
            open_rgb(path, self.limits.image_pixels)
        except UnsupportedImageError as error:
            raise FetchError(str(error), transient=False) from error
        except Exception as error:  # a decoder may raise anything on damaged bytes
            raise FetchError("not an image, or a truncated one", transient=False) from error


def _completed(
    pool: ThreadPoolExecutor, job: _Download, urls: Sequence[str], ahead: int
) -> Iterator[tuple[str, Future[tuple[Path, bool]]]]:
    """Yield finished downloads in any order; at most `ahead` are pending, however many URLs there are."""
    rest, pending = iter(urls), dict[Future[tuple[Path, bool]], str]()
    while pending := pending | {pool.submit(job, url): url for url in itertools.islice(rest, ahead - len(pending))}:
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            yield pending.pop(future), future


def _collect(downloaded: Downloaded, url: str, future: Future[tuple[Path, bool]]) -> None:
    try:
        downloaded.files[url], cached = future.result()
        downloaded.cached += cached
    except FetchError as error:
        log.warning("image left out: %s: %s", redact_url(url), error)
        downloaded.dropped.append(Finding("image", redact_url(url), str(error)))
        downloaded.temporary += error.transient


def _check_dropped(downloaded: Downloaded, total: int, limits: ImageLimits) -> None:
    dropped = downloaded.dropped
    if len(dropped) <= limits.max_dropped(total) and len(dropped) < total:
        return
    examples = "; ".join(f"{image.where}: {image.what.rstrip('.')}" for image in itertools.islice(dropped, 3))
    text = f"{len(dropped)} of {total} images can't be used, at most {limits.max_dropped(total)} may be left out: {examples}."
    raise _too_many_dropped(text, all_temporary=downloaded.temporary == len(dropped))


def _too_many_dropped(text: str, *, all_temporary: bool) -> TrainerError:
    if all_temporary:
        return TemporaryFailureError(f"{text} Check that the store of the images answers, then send the message again.")
    return NoUsableImagesError(f"{text} Check that these links are valid and not expired, then send the message again.")
