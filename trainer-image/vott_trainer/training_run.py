"""What a plugin gets of one training: the data, fetched once for each node, checkpoints, progress, and a folder for the model."""

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from vott_guard.redaction import redact_url
from vott_trainer import annotations
from vott_trainer.annotations import Annotations
from vott_trainer.annotations.findings import Finding, shortened
from vott_trainer.data import checks
from vott_trainer.data.image_download import download_images, path_of
from vott_trainer.errors import (
    AddressRefusedError,
    AnnotationsUnreachableError,
    InvalidParametersError,
    TemporaryFailureError,
    TrainerError,
)
from vott_trainer.http.fetch import FetchError, NotAllowedError, download
from vott_trainer.http.image_cache import Cache
from vott_trainer.http.outgoing import Session
from vott_trainer.http.retry import Backoff
from vott_trainer.http.urls import file_name
from vott_trainer.plugin_api import DataParameters, Dataset, LabelledImage, Links
from vott_trainer.process.peers import Alone, Peers
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.snapshot import Progress
from vott_trainer.stores.checkpoint_index import StoredCheckpoint
from vott_trainer.stores.checkpoints import Checkpoints

log = logging.getLogger(__name__)

ANNOTATIONS_LIMIT = 1 << 30  # bytes
MOST_LABELS_LOGGED = 50
FILE_LIMIT = 8 << 30
FILE_SECONDS = 3600.0  # for either


@dataclass(frozen=True)
class _NodeImages:
    """Images that one node fetched: the indexes of those it could not, why, and how many came from its cache."""

    missing: list[int]
    dropped: list[Finding]
    cached: int


@dataclass(frozen=True)
class _NodeCheckpoint:
    """Checkpoint that one node fetched, and the file there; both None where it found none."""

    checkpoint: StoredCheckpoint | None = None
    path: Path | None = None


class TrainingRun:
    """The `Run` that a plugin gets; `seconds` are how long fetching took, `notes` and `findings` are for the report."""

    def __init__(
        self,
        links: Links,
        work_dir: Path,
        progress: Progress,
        *,
        parameters: BaseModel | None = None,
        peers: Peers | None = None,
        checkpoints: Callable[[], Checkpoints | None] = lambda: None,
        interruption: Interruption | None = None,
    ) -> None:
        self.links, self.progress = links, progress
        self._open_checkpoints = checkpoints
        self.interruption = interruption or Interruption()
        self._work_dir, self._peers = work_dir, peers or Alone()
        self._parameters = parameters if isinstance(parameters, DataParameters) else DataParameters()
        self._annotations: Annotations | None = None
        self._dataset: Dataset | None = None
        self.ranks = self._peers.ranks
        self.model_dir = work_dir / ("model" if self.ranks.leads else f"not-the-model-{self.ranks.rank}")
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        shutil.rmtree(self.model_dir, ignore_errors=True)
        self.model_dir.mkdir(parents=True)

    @cached_property
    def checkpoints(self) -> Checkpoints | None:
        """Where to keep what the next attempt can go on from; opened when first asked for."""
        checkpoints = self._open_checkpoints()
        if checkpoints and (newest := checkpoints.read_index()):
            self.progress.going_on(newest)
        return checkpoints

    def forget_checkpoints(self) -> None:
        """Remove what was kept: the model is where it belongs."""
        if "checkpoints" in vars(self) and self.checkpoints:
            self.checkpoints.clear()

    def note(self, sentence: str) -> None:
        """Say something that whoever reads the report should know."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def annotations(self) -> Annotations:
        """Fetch and read the annotation file, once; errors name it."""
        if self._annotations is None:
            self._annotations = self._read()
            self.findings = self._annotations.findings
        return self._annotations

    def dataset(self) -> Dataset:
        """Fetch the annotations and every image they name, once; what one node has to leave out, all leave out."""
        if self._dataset is None:
            self._dataset = self._fetched()
            self.findings = self._dataset.findings
        return self._dataset

    def checkpoint(self, work: str) -> tuple[StoredCheckpoint, Path] | None:
        """Return the newest checkpoint of that work, fetched once for each node, and its file; None where there is none."""
        found = self._peers.once_per_node(lambda: self._fetch_checkpoint(work), _NodeCheckpoint)
        here = found[self.ranks.node]
        digests = {node.checkpoint.sha256 if node.checkpoint else "" for node in found}
        if not here.checkpoint or not here.path or len(digests) > 1:
            self.progress.anew()
            if self.ranks.leads and self.checkpoints and (self.checkpoints.newest or self.checkpoints.restart_reason):
                why = self.checkpoints.restart_reason or "The nodes found different checkpoints."
                self.note(f"{why} The training started over.")
            return None
        return here.checkpoint, here.path

    def fetch(self, url: str, name: str) -> Path:
        """Download a file that is not one of the images, once for each node; `name` is what to call it in the work folder.

        Raises:
            AddressRefusedError: the administrator's rules do not allow the address.
            InvalidParametersError: the store refused it.
            TemporaryFailureError: the store did not answer, after all attempts.
        """
        path = self._work_dir / name
        self._peers.once_per_node(lambda: self._fetch(url, path), type(None))
        return path

    def _fetched(self) -> Dataset:
        self._parameters.check(found := self.annotations())
        folder = self._work_dir / "images"
        urls = [image.url for image in found.images]
        with self._timed("images"):
            nodes = self._peers.once_per_node(lambda: self._fetch_images(urls, folder), _NodeImages)
        missing = {number for node in nodes for number in node.missing}
        dropped = list(dict.fromkeys(finding for node in nodes for finding in node.dropped))
        usable = [
            LabelledImage(i.url, path_of(i.url, folder), i.boxes, i.label)
            for number, i in enumerate(found.images)
            if number not in missing
        ]
        with self._timed("checkingData"):
            sizes = {image.url: image.size for image in found.images if image.size}
            clean, problems = checks.clean(usable, sizes)
        log.info(
            "%d images fetched in %.1f s, %d of them from the cache, %d left out",
            len(usable), self.seconds["images"], nodes[self.ranks.node].cached, len(urls) - len(usable),
        )  # fmt: skip
        return Dataset(clean, checks.labels_of(clean), [*found.findings, *shortened(dropped), *problems])

    def _read(self) -> Annotations:
        path, url = self._work_dir / "annotations", self.links.annotations
        with self._timed("annotations"):
            digests = self._peers.once_per_node(lambda: self._fetch_annotations(path), str)
            if len(set(digests)) > 1:
                raise TemporaryFailureError(
                    f"The annotations at {redact_url(url)} changed while the nodes fetched them. Leave them as they are."
                )
            found = annotations.read(
                path,
                file_name(url),
                annotation_format=self._parameters.annotation_format,
                annotations_url=url,
                images_url=self._parameters.images_url,
            )
        more = "" if len(found.labels) <= MOST_LABELS_LOGGED else f" and {len(found.labels) - MOST_LABELS_LOGGED} more"
        log.info(
            "%d annotated images, classes: %s%s", len(found.images), ", ".join(found.labels[:MOST_LABELS_LOGGED]), more
        )
        return found

    def _fetch(self, url: str, path: Path) -> None:
        _fetch_file(url, path, redact_url(url), FILE_LIMIT, InvalidParametersError)

    def _fetch_annotations(self, path: Path) -> str:
        url = self.links.annotations
        what = f"The annotations at {redact_url(url)}"
        _fetch_file(url, path, what, ANNOTATIONS_LIMIT, AnnotationsUnreachableError)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _fetch_images(self, urls: list[str], folder: Path) -> "_NodeImages":
        fetched = download_images(urls, folder, cache=Cache.from_environment(), on_progress=self.progress.fetching)
        missing = [number for number, url in enumerate(urls) if url not in fetched.files]
        return _NodeImages(missing, fetched.dropped, fetched.cached)

    def _fetch_checkpoint(self, work: str) -> "_NodeCheckpoint":
        found = self.checkpoints.fetch(work) if self.checkpoints else None
        return _NodeCheckpoint(*found) if found else _NodeCheckpoint()

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[phase] = round(time.monotonic() - start, 3)


def _fetch_file(url: str, path: Path, what: str, limit: int, refused: type[TrainerError]) -> None:
    """Download one file.

    Args:
        what: how an error calls it.
        limit: the most bytes accepted.
        refused: what to raise where the store refuses.

    Raises:
        AddressRefusedError: the administrator's rules do not allow the address.
        TemporaryFailureError: the store did not answer, after all attempts.
    """
    try:
        with Session(FILE_SECONDS) as session:
            download(session, url, path, limit=limit, backoff=Backoff())
    except NotAllowedError as error:
        raise AddressRefusedError(f"{what} can't be fetched: {error}") from error
    except FetchError as error:
        text = f"{what} can't be fetched: {error}."
        if error.passing:
            raise TemporaryFailureError(f"{text} Check that the store answers, then send the message again.") from error
        raise refused(
            f"{text} Check that the link is right, has not expired and permits reading, then send the message again."
        ) from error
