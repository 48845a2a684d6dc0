"""Download the images in parallel and decode each once; a few bad ones are left out and listed, too many are an error.

Images whose store does not answer are tried again, for some minutes in all: a store is often away for a moment.
"""

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from vott_guard.backoff import Backoff
from vott_guard.redaction import redact_url
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.decoding import open_rgb, which_frame
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.pixel_limits import MAX_PIXELS
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError
from vott_trainer.http.fetch import FetchError, download, first_usable
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session
from vott_trainer.http.signing import Signer

log = logging.getLogger(__name__)

SECONDS = 300.0  # for one image
PATIENCE = Backoff(first=4.0, longest=60.0)  # between two passes over the images that failed for the time being
PATIENT_SECONDS = 600.0  # no pass begins after that
PASSES = 8  # after the first one: 3 to 5 minutes of waiting
MAX_CAUSES = 3  # named in an error
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
    """The usable images, by URL, those left out, and what to tell about those used."""

    files: dict[str, Path] = field(default_factory=dict)
    dropped: list[Finding] = field(default_factory=list)
    told: list[Finding] = field(default_factory=list)
    temporary: int = 0  # dropped images that may be downloaded later
    cached: int = 0  # images from the cache


@dataclass(frozen=True)
class _Checked:
    """A usable image: its file, whether it came from the cache, and what to tell about it."""

    path: Path
    cached: bool
    told: str


class _BadImageError(FetchError):
    """The file is there, but it is no usable image."""

    remedy = "replace or convert these files"

    def __init__(self, cause: str) -> None:
        super().__init__(cause, transient=False)


def path_of(url: str, folder: Path) -> Path:
    """Return the path of a URL's image in `folder`."""
    return folder / hashlib.sha256(url.encode()).hexdigest()[:32]


def download_images(
    urls: Sequence[str],
    folder: Path,
    *,
    others: Mapping[str, Sequence[str]] | None = None,
    files: Mapping[str, Path] | None = None,
    limits: ImageLimits | None = None,
    policy: RetryPolicy | None = None,
    cache: ImageCache | None = None,
    signer: Signer | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Downloaded:
    """Download and check every image.

    Args:
        others: URLs to try after one of `urls` that gives no image.
        files: images that came with the annotations, by what stands for their URLs; they are only checked.
        cache: images of earlier trainings.
        signer: signs requests to the administrator's own stores.
        on_progress: called with the number of finished images and of all.

    Raises:
        NoUsableImagesError: more images failed than the limits allow.
        TemporaryFailureError: the same, but not without failures that may be temporary.
    """
    limits, policy = limits or ImageLimits(), policy or RetryPolicy(attempts=4)
    folder.mkdir(parents=True, exist_ok=True)
    with Session(SECONDS, limits.workers, signer) as session, ThreadPoolExecutor(limits.workers, "images") as pool:
        job = _Download(session, folder, limits, policy, cache, others or {}, files or {})
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
        self._downloaded, self._remedies = Downloaded(), dict[str, None]()  # in the order of their first image
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
                image = future.result()
            except FetchError as error:
                if error.transient:
                    self.failing[url] = error
                    in_a_row += 1
                    if in_a_row >= AWAY:
                        job.store_is_away.set()
                    continue
                self._leave_out(url, error)
                self._check_dropped()
            else:
                self._add(url, image)
            in_a_row = 0
            self._report()

    def finished(self) -> Downloaded:
        """Leave out what still fails, and return all."""
        self._downloaded.temporary = len(self.failing)
        for url, error in self.failing.items():
            self._leave_out(url, error)
            self._report()
        self._check_dropped()
        return self._downloaded

    def _add(self, url: str, image: _Checked) -> None:
        self._downloaded.files[url] = image.path
        self._downloaded.cached += image.cached
        if image.told:
            self._downloaded.told.append(Finding("image", redact_url(url), image.told))

    def _leave_out(self, url: str, error: FetchError) -> None:
        log.warning("image left out: %s: %s", redact_url(url), error)
        self._downloaded.dropped.append(Finding("image", redact_url(url), str(error)))
        self._remedies[error.remedy] = None

    def _report(self) -> None:
        self._on_progress(len(self._downloaded.files) + len(self._downloaded.dropped), self._total)

    def _check_dropped(self) -> None:
        """Raise if too many images are left out, with an example of each cause and the remedies."""
        dropped, most = self._downloaded.dropped, self._limits.max_dropped(self._total)
        if len(dropped) <= most and len(dropped) < self._total:
            return
        text = f"{len(dropped)} of {self._total} images can't be used, at most {most} may be left out: {_examples(dropped)}."
        permanent = len(dropped) - self._downloaded.temporary
        if permanent <= most and permanent < self._total:
            raise TemporaryFailureError(
                f"{text} Check that the store of the images answers, then send the message again."
            )
        remedies = ", ".join([*self._remedies, "then send the message again"])
        raise NoUsableImagesError(f"{text} {remedies[0].upper()}{remedies[1:]}.")


@dataclass(frozen=True)
class _Download:
    """Downloads and decodes one image; called from many threads."""

    session: Session
    folder: Path
    limits: ImageLimits
    policy: RetryPolicy
    cache: ImageCache | None
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    store_is_away: Event = field(default_factory=Event)

    def __call__(self, url: str) -> _Checked:
        """Download and check an image."""
        if file := self.files.get(url):
            return _Checked(file, cached=False, told=self.check(file))
        if self.store_is_away.is_set():
            raise FetchError("the store did not answer for other images", transient=True)
        path = path_of(url, self.folder)
        return first_usable([url, *self.others.get(url, ())], lambda one: self.fetch(one, path))

    def fetch(self, url: str, path: Path) -> _Checked:
        """Download an image to `path`, and check it."""
        limit = self.limits.image_bytes
        cached = download(self.session, url, path, limit=limit, policy=self.policy, cache=self.cache)
        return _Checked(path, cached, self.check(path))

    def check(self, path: Path) -> str:
        """Decode the image as the training will. Return what to tell about it."""
        if path.stat().st_size > self.limits.image_bytes:  # of an archive
            raise _BadImageError(f"larger than the limit of {self.limits.image_bytes >> 20} MiB")
        try:
            open_rgb(path, self.limits.image_pixels)
            return which_frame(path)
        except UnsupportedImageError as error:
            raise _BadImageError(str(error)) from error


def _completed(
    pool: ThreadPoolExecutor, job: _Download, urls: Sequence[str], ahead: int
) -> Iterator[tuple[str, Future[_Checked]]]:
    """Yield finished downloads in any order; at most `ahead` are pending, however many URLs there are."""
    rest, pending = iter(urls), dict[Future[_Checked], str]()
    while pending := pending | {pool.submit(job, url): url for url in itertools.islice(rest, ahead - len(pending))}:
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            yield pending.pop(future), future


def _examples(dropped: Sequence[Finding]) -> str:
    """Name an image for each of the first causes, and how many more have it."""
    causes: dict[str, list[str]] = {}
    for image in dropped:
        causes.setdefault(image.what.rstrip("."), []).append(image.where)
    return "; ".join(
        f"{where}{f' and {len(others)} more' if others else ''}: {what}"
        for what, (where, *others) in itertools.islice(causes.items(), MAX_CAUSES)
    )
