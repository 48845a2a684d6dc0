"""Download the images in parallel and decode each once; a few bad ones are left out and listed, too many are an error.

Images whose store does not answer are tried again, for some minutes in all: a store is often away for a moment.
"""

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from vott_guard.backoff import Backoff
from vott_guard.redaction import redact_url
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.pixel_limits import MAX_PIXELS
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError
from vott_trainer.http.fetch import FetchError, download
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session

log = logging.getLogger(__name__)

SECONDS = 300.0  # for one image
PATIENCE = Backoff(first=4.0, longest=60.0)  # between two passes over the images that failed for the time being
PATIENT_SECONDS = 600.0  # no pass begins after that
PASSES = 8  # after the first one: 3 to 5 minutes of waiting
AWAY = 32  # temporary failures in a row, after which a pass makes no more requests


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
        TemporaryFailureError: the same, but not without failures that may be temporary.
    """
    limits, policy = limits or ImageLimits(), policy or RetryPolicy(attempts=4)
    folder.mkdir(parents=True, exist_ok=True)
    with Session(SECONDS, limits.workers) as session, ThreadPoolExecutor(limits.workers, "images") as pool:
        job = _Download(session, folder, limits, policy, cache)
        downloads = _Downloads(pool, len(urls), limits, on_progress)
        try:
            downloads.make_pass(urls, job)
            _try_again(downloads, replace(job, policy=replace(policy, attempts=1)))
            return downloads.finished()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _try_again(downloads: "_Downloads", job: "_Download") -> None:
    """Make more passes until nothing fails for the time being, or patience ends."""
    end = time.monotonic() + PATIENT_SECONDS
    for passes in range(1, PASSES + 1):
        if not downloads.failing or time.monotonic() > end:
            return
        seconds = PATIENCE.seconds(passes)
        log.warning("%s; trying again in %.0f s", downloads.failing_text, seconds)
        job.policy.sleep(seconds)
        downloads.make_pass(list(downloads.failing), job)


class _Downloads:
    """The state of all downloads, over several passes."""

    def __init__(
        self, pool: ThreadPoolExecutor, total: int, limits: ImageLimits, on_progress: Callable[[int, int], None]
    ) -> None:
        self._pool, self._total, self._limits, self._on_progress = pool, total, limits, on_progress
        self._downloaded = Downloaded()
        self.failing: dict[str, FetchError] = {}
        """Images that failed for the time being."""

    @property
    def failing_text(self) -> str:
        """How many images failed for the time being, with an example."""
        url, error = next(iter(self.failing.items()))
        return (
            f"{len(self.failing)} of {self._total} images can't be fetched for now, such as {redact_url(url)}: {error}"
        )

    def make_pass(self, urls: Sequence[str], job: "_Download") -> None:
        """Try each URL. If the store answers none of many, leave the rest for the next pass."""
        self.failing, in_a_row = {}, 0
        job.store_is_away.clear()
        for url, future in _completed(self._pool, job, urls, self._limits.workers * 2):
            try:
                self._downloaded.files[url], cached = future.result()
            except FetchError as error:
                if error.transient:
                    self.failing[url] = error
                    in_a_row += 1
                    if in_a_row >= AWAY:
                        job.store_is_away.set()
                    continue
                self._leave_out(url, error)
                _check_dropped(self._downloaded, self._total, self._limits)
            else:
                self._downloaded.cached += cached
            in_a_row = 0
            self._report()

    def finished(self) -> Downloaded:
        """Leave out what still fails, and return all."""
        self._downloaded.temporary = len(self.failing)
        for url, error in self.failing.items():
            self._leave_out(url, error)
            self._report()
        _check_dropped(self._downloaded, self._total, self._limits)
        return self._downloaded

    def _leave_out(self, url: str, error: FetchError) -> None:
        log.warning("image left out: %s: %s", redact_url(url), error)
        self._downloaded.dropped.append(Finding("image", redact_url(url), str(error)))

    def _report(self) -> None:
        self._on_progress(len(self._downloaded.files) + len(self._downloaded.dropped), self._total)


@dataclass(frozen=True)
class _Download:
    """Downloads and decodes one image; called from many threads."""

    session: Session
    folder: Path
    limits: ImageLimits
    policy: RetryPolicy
    cache: ImageCache | None
    store_is_away: Event = field(default_factory=Event)

    def __call__(self, url: str) -> tuple[Path, bool]:
        """Return the image's path, and whether it came from the cache."""
        if self.store_is_away.is_set():
            raise FetchError("the store did not answer for other images", transient=True)
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


def _check_dropped(downloaded: Downloaded, total: int, limits: ImageLimits) -> None:
    dropped = downloaded.dropped
    if len(dropped) <= limits.max_dropped(total) and len(dropped) < total:
        return
    examples = "; ".join(f"{image.where}: {image.what.rstrip('.')}" for image in itertools.islice(dropped, 3))
    text = f"{len(dropped)} of {total} images can't be used, at most {limits.max_dropped(total)} may be left out: {examples}."
    permanent = len(dropped) - downloaded.temporary
    if permanent <= limits.max_dropped(total) and permanent < total:
        raise TemporaryFailureError(f"{text} Check that the store of the images answers, then send the message again.")
    raise NoUsableImagesError(f"{text} Check that these links are valid and not expired, then send the message again.")
