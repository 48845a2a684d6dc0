"""One training from its settings to the uploaded model: fetch, train, pack, upload, report."""

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from vott_trainer import annotations, archive, destination, images, plugins
from vott_trainer.callback import Callback
from vott_trainer.errors import AnnotationsUnreachableError, TemporaryFailureError, TrainerError
from vott_trainer.faults import recognised
from vott_trainer.fetch import FetchError, download
from vott_trainer.parameters import validate
from vott_trainer.plugins.base import Dataset, LabelledImage, Plugin, Trained
from vott_trainer.progress import Progress, UploadedModel
from vott_trainer.ranks import Alone, Peers, Ranks
from vott_trainer.reporting import Receiver, ReceiverGoneError, Reporter
from vott_trainer.retry import Backoff
from vott_trainer.settings import TrainSettings
from vott_trainer.trainingjob import TrainingJobStatus
from vott_trainer.upload import upload
from vott_trainer.urls import file_name, redact, redact_url

log = logging.getLogger(__name__)

ANNOTATIONS_LIMIT = 1 << 30  # bytes
JOB_WITHOUT_KUBERNETES = "local"


class TrainingRun:
    """The `Run` that a plugin gets: fetches into `work_dir`, once for each node, and notes how long that took."""

    def __init__(self, annotations_url: str, work_dir: Path, progress: Progress, peers: Peers | None = None) -> None:
        self._url = annotations_url
        self._work_dir = work_dir
        self._peers = peers or Alone()
        self.ranks = self._peers.ranks
        self.progress = progress
        self.model_dir = work_dir / ("model" if self.ranks.leads else f"not-the-model-{self.ranks.rank}")
        self.usable: list[LabelledImage] = []
        self.dropped: list[images.Dropped] = []
        self.seconds: dict[str, float] = {}
        shutil.rmtree(self.model_dir, ignore_errors=True)
        self.model_dir.mkdir(parents=True)

    def annotations(self) -> annotations.Annotations:
        """Fetch and read the annotation file; errors name it."""
        path = self._work_dir / "annotations"
        with self._timed("annotations"):
            digests = self._peers.once_per_node(lambda: self._fetch_annotations(path))
            if len(set(digests)) > 1:
                raise TemporaryFailureError(
                    f"The annotations at {redact_url(self._url)} changed while the nodes fetched them. Leave them as they are."
                )
            found = annotations.read(path, file_name(self._url))
        log.info("%d annotated images, classes: %s", len(found.images), ", ".join(found.labels))
        return found

    def dataset(self) -> Dataset:
        """Fetch the annotations and every image they name; what one node has to leave out, all leave out."""
        found = self.annotations()
        folder = self._work_dir / "images"
        urls = [image.url for image in found.images]
        with self._timed("images"):
            told = [json.loads(text) for text in self._peers.once_per_node(lambda: self._fetch_images(urls, folder))]
        missing = {number for node in told for number in node["missing"]}
        self.dropped = list(dict.fromkeys(images.Dropped(**one) for node in told for one in node["dropped"]))
        self.usable = [
            LabelledImage(i.url, images.path_of(i.url, folder), i.boxes)
            for number, i in enumerate(found.images)
            if number not in missing
        ]
        log.info(
            "%d images fetched in %.1f s, %d left out", len(self.usable), self.seconds["images"], len(self.dropped)
        )
        return Dataset(self.usable, found.labels, self.dropped)

    def _fetch_annotations(self, path: Path) -> str:
        fetch_annotations(self._url, path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _fetch_images(self, urls: list[str], folder: Path) -> str:
        """Fetch into `folder`; return as JSON the numbers of the images that are missing, and which were left out and why."""
        fetched = images.fetch_all(urls, folder, on_progress=self.progress.fetching)
        missing = [number for number, url in enumerate(urls) if url not in fetched.files]
        return json.dumps({"missing": missing, "dropped": [asdict(image) for image in fetched.dropped]})

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[phase] = round(time.monotonic() - start, 3)


def fetch_annotations(url: str, path: Path, backoff: Backoff | None = None) -> None:
    """Download the annotation file.

    Raises:
        AnnotationsUnreachableError: the store refused it.
        TemporaryFailureError: the store did not answer, after all attempts.
    """
    try:
        with requests.Session() as session:
            download(session, url, path, limit=ANNOTATIONS_LIMIT, backoff=backoff or Backoff())
    except FetchError as error:
        text = f"The annotations at {redact_url(url)} can't be fetched: {error}."
        if error.passing:
            raise TemporaryFailureError(f"{text} Check that the store answers, then send the message again.") from error
        raise AnnotationsUnreachableError(
            f"{text} Check that the link is right, has not expired and permits reading, then send the message again."
        ) from error


def train(settings: TrainSettings, ranks: Ranks = Ranks()) -> None:  # noqa: B008 - frozen
    """Do this process' part of a training; rank 0 also uploads, and reports to the TrainingJob and the callback.

    Raises:
        TrainerError: with the reason; without Kubernetes the callback has been told.
    """
    with recognised(ranks):
        peers = _join(ranks)
        if ranks.leads:
            _lead(settings, peers)
        else:
            _assist(settings, peers)


def _join(ranks: Ranks) -> Peers:
    if ranks.alone:
        return Alone()
    from vott_trainer.peers import StorePeers  # needs torch

    return StorePeers.join(ranks)


def _assist(settings: TrainSettings, peers: Peers) -> None:
    """Learn with rank 0 where the plugin can, and end when rank 0 has ended."""
    plugin = plugins.load(settings.plugin)
    parameters = validate(plugin.parameters, settings.parameters)
    if _is_distributed(plugin):
        peers.start_group()
        with _work_dir(settings.work_dir) as work_dir:
            plugin.train(TrainingRun(settings.annotations, work_dir, Progress(), peers), parameters)
    peers.wait_for_end()


def _is_distributed(plugin: Plugin) -> bool:
    return bool(getattr(plugin, "distributed", False))


def _lead(settings: TrainSettings, peers: Peers) -> None:
    job = TrainingJobStatus.in_cluster(settings.trainingjob, settings.trainingjob_uid) if settings.trainingjob else None
    callback = Callback(settings.status, job.job if job else JOB_WITHOUT_KUBERNETES) if settings.status else None
    receivers: list[Receiver] = [receiver for receiver in (job, callback) if receiver]
    progress = Progress(reporter := Reporter(receivers))
    try:
        with recognised(peers.ranks):
            model = _train(settings, progress, peers)
    except Exception as error:
        reporter.close()
        _last_word(callback, job, progress, "failed", explain(error))
        raise
    reporter.close()
    last = progress.done(model)
    if job:
        job.send_surely(last)
    _last_word(callback, job, progress, "succeeded", last.message)
    peers.end()


def refuse(status: str, error: Exception) -> None:
    """Tell the callback at URL `status` of a training that could not begin."""
    _last_word(Callback(status, JOB_WITHOUT_KUBERNETES), None, Progress(), "failed", explain(error))


def explain(error: Exception) -> str:
    """Return one line that says what went wrong, fit for the labeller: no traceback, no URL's query."""
    text = str(error) if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))


def _train(settings: TrainSettings, progress: Progress, peers: Peers) -> UploadedModel:
    plugin = plugins.load(settings.plugin)
    parameters = validate(plugin.parameters, settings.parameters)
    blob = destination.resolve(settings.model, settings.storage)  # before the hours of training, not after
    log.info("plugin %s, parameters %s", settings.plugin, parameters.model_dump_json(by_alias=True))
    with _work_dir(settings.work_dir) as work_dir:
        if _is_distributed(plugin):
            peers.start_group()
        run = TrainingRun(settings.annotations, work_dir, progress, peers if _is_distributed(plugin) else None)
        trained = plugin.train(run, parameters)
        _describe(
            run, trained, {"plugin": settings.plugin, "parameters": parameters.model_dump(mode="json", by_alias=True)}
        )
        progress.uploading(trained.metrics)
        archive.pack(run.model_dir, packed := work_dir / destination.ARCHIVE_NAME)
        model = upload(packed, blob)
    log.info("model uploaded: %s, %d bytes, sha256 %s", model.url, model.size_bytes, model.sha256)
    return model


def _describe(run: TrainingRun, trained: Trained, request: dict[str, Any]) -> None:
    """Write what every model archive holds beside the plugin's own files."""
    report = {
        **request,
        "metrics": trained.metrics,
        **trained.details,
        "droppedImages": [asdict(image) for image in run.dropped],
        "seconds": run.seconds | trained.details.get("seconds", {}),
    }
    _write_json(run.model_dir / "metrics.json", report)
    _write_json(run.model_dir / "config.json", {**request, **trained.config})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _work_dir(wanted: Path | None) -> Iterator[Path]:
    if wanted:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
    else:
        with tempfile.TemporaryDirectory(prefix="vott-trainer-") as folder:
            yield Path(folder)


def _last_word(
    callback: Callback | None, job: TrainingJobStatus | None, progress: Progress, state: str, message: str
) -> None:
    """Tell the callback how it ended; with a TrainingJob that is the operator's to do."""
    if not callback or job:
        return
    try:
        callback.post(progress.snapshot, state, message)
    except (ReceiverGoneError, Exception) as error:
        log.warning("the last report to the callback failed: %s", error)
