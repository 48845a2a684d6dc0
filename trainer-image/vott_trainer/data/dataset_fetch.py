"""Fetch the annotations and the images of a training, once per node, and check them."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vott_guard.redaction import redact_url
from vott_trainer import annotations
from vott_trainer.annotations import Annotations, name_readings
from vott_trainer.annotations.findings import Finding, shortened
from vott_trainer.data import checks
from vott_trainer.data.image_download import download_images, path_of
from vott_trainer.data.scenes import Scenes, find_scenes
from vott_trainer.errors import AnnotationsUnreachableError, TemporaryFailureError
from vott_trainer.file_download import MAX_ANNOTATIONS_BYTES, download_file
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.signing import Signer
from vott_trainer.http.urls import file_name
from vott_trainer.plugin_api import DataParameters, Dataset, LabelledImage
from vott_trainer.process.peers import Peers
from vott_trainer.progress.progress import Progress
from vott_trainer.stores.checksums import sha256_of

log = logging.getLogger(__name__)

MAX_LABELS_LOGGED = 50


@dataclass(frozen=True)
class _NodeImages:
    """One node's image downloads: indexes of the missing images, the reasons, findings about the others, and how many its cache served.

    `temporary` is the number of the missing images that may be there later.
    """

    missing: list[int]
    dropped: list[Finding]
    told: list[Finding]
    cached: int
    temporary: int


class DatasetFetch:
    """Fetches annotations and images; all processes call the same methods.

    Args:
        url: of the annotations.
        work_dir: the folder for all files.
        signer: signs requests to the administrator's own stores.

    Attributes:
        missing_for_now: number of images that can't be fetched at the moment, on all nodes.
        seconds: duration of each phase.
    """

    def __init__(
        self,
        url: str,
        work_dir: Path,
        parameters: DataParameters,
        peers: Peers,
        progress: Progress,
        signer: Signer | None = None,
    ) -> None:
        self._signer = signer
        self._url, self._work_dir, self._parameters = url, work_dir, parameters
        self._peers, self._progress = peers, progress
        self.missing_for_now = 0
        self.seconds: dict[str, float] = {}

    def annotations(self) -> Annotations:
        """Fetch and read the annotation file.

        Raises:
            AnnotationsUnreachableError: the store refused it.
            BadAnnotationsError: it does not parse.
            TemporaryFailureError: the store did not answer after all attempts.
        """
        path, url = self._work_dir / "annotations", self._url
        with self._timed("annotations"):
            digests = self._peers.once_per_node(lambda: self._fetch_annotations(path), str)
            if len(set(digests)) > 1:
                raise TemporaryFailureError(
                    f"The annotations at {redact_url(url)} changed while the nodes downloaded them. Do not change them during a training."
                )
            found = annotations.read(
                path,
                file_name(url),
                annotation_format=self._parameters.annotation_format,
                annotations_url=url,
                images_url=self._parameters.images_url,
            )
        more = "" if len(found.labels) <= MAX_LABELS_LOGGED else f" and {len(found.labels) - MAX_LABELS_LOGGED} more"
        log.info(
            "%d annotated images, classes: %s%s", len(found.images), ", ".join(found.labels[:MAX_LABELS_LOGGED]), more
        )
        return found

    def dataset(self, found: Annotations) -> Dataset:
        """Fetch and check the annotated images; all nodes leave out images that one of them can't fetch.

        Raises:
            BadAnnotationsError: nothing can be learned from them, or many boxes do not fit their images.
            NoUsableImagesError: too many images can't be used.
            TemporaryFailureError: the same, but they may be there later.
        """
        self._parameters.check(found)
        folder = self._work_dir / "images"
        with self._timed("images"):
            nodes = self._peers.once_per_node(lambda: self._fetch_images(found, folder), _NodeImages)
        missing = {number for node in nodes for number in node.missing}
        self.missing_for_now = sum(node.temporary for node in nodes)
        fetching = list(dict.fromkeys(finding for node in nodes for finding in (*node.dropped, *node.told)))
        usable = [
            LabelledImage(i.url, found.files.get(i.url) or path_of(i.url, folder), i.boxes, i.label, video=i.video)
            for number, i in enumerate(found.images)
            if number not in missing
        ]
        with self._timed("checkingData"):
            sizes = {image.url: image.size for image in found.images if image.size}
            clean, problems = checks.clean(
                usable, sizes, exif_orientation=self._parameters.exif_orientation, outlines=self._parameters.outlines
            )
            scenes = self._peers.once_per_node(lambda: find_scenes(clean), Scenes)[0]  # equal on all nodes
        log.info(
            "%d images fetched in %.1f s, %d of them from the cache, %d left out",
            len(usable), self.seconds["images"], nodes[self._peers.ranks.node].cached, len(found.images) - len(usable),
        )  # fmt: skip
        images = [replace(image, scene=scene) for image, scene in zip(clean, scenes.of_images, strict=True)]
        findings = [*found.findings, *shortened(fetching), *problems, *scenes.findings]
        return Dataset(images, checks.labels_of(images), findings)

    def _fetch_annotations(self, path: Path) -> str:
        """Fetch the annotation file, and unpack it if it is an archive; return its digest."""
        url = self._url
        description = f"The annotations at {redact_url(url)}"
        others, refused = name_readings.of_url(url)[1:], AnnotationsUnreachableError
        download_file(url, path, description, MAX_ANNOTATIONS_BYTES, refused, others=others, signer=self._signer)
        digest = sha256_of(path)
        annotations.prepare(path, file_name(url))
        return digest

    def _fetch_images(self, found: Annotations, folder: Path) -> _NodeImages:
        """Fetch the images that did not come with the annotations. Each has other URLs to try after its first."""
        urls = {image.url: image.others for image in found.images}
        cache, on_progress = ImageCache.from_environment(), self._progress.fetching
        fetched = download_images(
            list(urls),
            folder,
            others=urls,
            files=found.files,
            cache=cache,
            signer=self._signer,
            on_progress=on_progress,
        )
        missing = [number for number, url in enumerate(urls) if url not in fetched.files]
        return _NodeImages(missing, fetched.dropped, fetched.told, fetched.cached, fetched.temporary)

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[phase] = round(time.monotonic() - start, 3)
