"""One training from its settings to the uploaded model: fetch, train, pack, upload, report."""

import contextlib
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
from vott_trainer.fetch import FetchError, download
from vott_trainer.parameters import validate
from vott_trainer.plugins.base import Dataset, LabelledImage, Trained
from vott_trainer.progress import Progress, UploadedModel
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
    """The `Run` that a plugin gets: fetches into `work_dir`, and notes how long that took."""

    def __init__(self, annotations_url: str, work_dir: Path, progress: Progress) -> None:
        self._url = annotations_url
        self._work_dir = work_dir
        self.progress = progress
        self.model_dir = work_dir / "model"
        self.usable: list[LabelledImage] = []
        self.dropped: list[images.Dropped] = []
        self.seconds: dict[str, float] = {}
        shutil.rmtree(self.model_dir, ignore_errors=True)
        self.model_dir.mkdir(parents=True)

    def annotations(self) -> annotations.Annotations:
        """Fetch and read the annotation file; errors name it."""
        with self._timed("annotations"):
            path = self._work_dir / "annotations"
            fetch_annotations(self._url, path)
            found = annotations.read(path, file_name(self._url))
        log.info("%d annotated images, classes: %s", len(found.images), ", ".join(found.labels))
        return found

    def dataset(self) -> Dataset:
        """Fetch the annotations and every image they name."""
        found = self.annotations()
        with self._timed("images"):
            urls = [image.url for image in found.images]
            fetched = images.fetch_all(urls, self._work_dir / "images", on_progress=self.progress.fetching)
        self.dropped = fetched.dropped
        log.info(
            "%d images fetched in %.1f s, %d left out", len(fetched.files), self.seconds["images"], len(fetched.dropped)
        )
        self.usable = [
            LabelledImage(i.url, fetched.files[i.url], i.boxes) for i in found.images if i.url in fetched.files
        ]
        return Dataset(self.usable, found.labels, fetched.dropped)

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


def train(settings: TrainSettings) -> UploadedModel:
    """Train, upload, and report to the TrainingJob and the callback.

    Raises:
        TrainerError: with the reason; without Kubernetes the callback has been told.
    """
    job = TrainingJobStatus.in_cluster(settings.trainingjob, settings.trainingjob_uid) if settings.trainingjob else None
    callback = Callback(settings.status, job.job if job else JOB_WITHOUT_KUBERNETES) if settings.status else None
    receivers: list[Receiver] = [receiver for receiver in (job, callback) if receiver]
    progress = Progress(reporter := Reporter(receivers))
    try:
        model = _train(settings, progress)
    except Exception as error:
        reporter.close()
        _last_word(callback, job, progress, "failed", explain(error))
        raise
    reporter.close()
    last = progress.done(model)
    if job:
        job.send_surely(last)
    _last_word(callback, job, progress, "succeeded", last.message)
    return model


def refuse(status: str, error: Exception) -> None:
    """Tell the callback at URL `status` of a training that could not begin."""
    _last_word(Callback(status, JOB_WITHOUT_KUBERNETES), None, Progress(), "failed", explain(error))


def explain(error: Exception) -> str:
    """Return one line that says what went wrong, fit for the labeller: no traceback, no URL's query."""
    text = str(error) if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))


def _train(settings: TrainSettings, progress: Progress) -> UploadedModel:
    plugin = plugins.load(settings.plugin)
    parameters = validate(plugin.parameters, settings.parameters)
    blob = destination.resolve(settings.model, settings.storage)  # before the hours of training, not after
    log.info("plugin %s, parameters %s", settings.plugin, parameters.model_dump_json(by_alias=True))
    with _work_dir(settings.work_dir) as work_dir:
        run = TrainingRun(settings.annotations, work_dir, progress)
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
