"""One training from its settings to the delivered model: fetch, train, describe, deliver, report."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vott_guard.callback_payload import CallbackState
from vott_guard.redaction import redact, redact_url
from vott_trainer import delivery, plugins
from vott_trainer.errors import InterruptedTrainingError, TrainerError
from vott_trainer.parameters import shown, validate
from vott_trainer.plugin_api import Links, Plugin, Trained
from vott_trainer.plugin_api.metrics import plain_metrics
from vott_trainer.process.library_errors import translated
from vott_trainer.process.peers import Peers, join
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.sigterm import PROCESS
from vott_trainer.process.work_dir import work_dir
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.reporter import Receiver, ReceiverGoneError, Reporter
from vott_trainer.progress.snapshot import Progress
from vott_trainer.progress.trainingjob import TrainingJobStatus
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.checkpoint_location import checkpoint_store
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.destination_url import resolve
from vott_trainer.stores.store import StoredObject
from vott_trainer.training_run import TrainingRun

log = logging.getLogger(__name__)

JOB_WITHOUT_KUBERNETES = "local"


def train(settings: TrainSettings, ranks: Ranks = Ranks()) -> None:  # noqa: B008 - frozen
    """Do this process' part of a training; rank 0 also delivers, and reports to the TrainingJob and the callback.

    Raises:
        TrainerError: with the reason; without Kubernetes the callback has been told.
    """
    with translated(ranks):
        peers = join(ranks)
        if ranks.leads:
            _lead(settings, peers)
        else:
            _assist(settings, peers)


def _assist(settings: TrainSettings, peers: Peers) -> None:
    """Learn with rank 0 where the plugin can, and end when rank 0 has ended."""
    plugin = plugins.load(settings.plugin)
    parameters = validate(plugin.parameters, settings.parameters)
    if _is_distributed(plugin):
        peers.start_group()
        model = resolve(settings.model, settings.storage)
        with work_dir(settings.work_dir) as folder:
            _learn(plugin, _run(settings, parameters, folder, Progress(), peers, model), parameters)
    peers.wait_for_end()


def _is_distributed(plugin: Any) -> bool:
    """Whether the plugin trains in all processes: a learner does."""
    return bool(getattr(plugin, "distributed", not hasattr(plugin, "train")))


def _uploads(plugin: Any) -> bool:
    """Whether the plugin puts the model where it belongs by itself; then it tells the callback, too."""
    return bool(getattr(plugin, "uploads", False))


def _lead(settings: TrainSettings, peers: Peers) -> None:
    job = TrainingJobStatus.in_cluster(settings.trainingjob, settings.trainingjob_uid) if settings.trainingjob else None
    callback = Callback(settings.status, job.job if job else JOB_WITHOUT_KUBERNETES) if settings.status else None
    progress = Progress()
    reporter = Reporter([])
    try:
        with translated(peers.ranks):
            plugin = plugins.load(settings.plugin)
            receivers: list[Receiver] = [one for one in (job, None if _uploads(plugin) else callback) if one]
            progress = Progress(reporter := Reporter(receivers))
            model, forget_checkpoints = _train(plugin, settings, progress, peers)
    except InterruptedTrainingError:
        reporter.close()
        raise
    except Exception as error:
        reporter.close()
        _last_word(callback, job, progress, "failed", explain(error))
        raise
    reporter.close()
    last = progress.done(model)
    if job:
        job.send_surely(last)
    forget_checkpoints()  # not before all is done: what fails until here is tried again
    _last_word(callback, job, progress, "succeeded", last.message)
    peers.end()


def refuse(status: str, error: Exception) -> None:
    """Tell the callback at URL `status` of a training that could not begin."""
    _last_word(Callback(status, JOB_WITHOUT_KUBERNETES), None, Progress(), "failed", explain(error))


def explain(error: Exception) -> str:
    """Return one line that says what went wrong, fit for the labeller: no traceback, no URL's query."""
    text = str(error) if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))


def _train(
    plugin: Any, settings: TrainSettings, progress: Progress, peers: Peers
) -> tuple[StoredObject, Callable[[], None]]:
    """Return the delivered model, and what to call when nothing of the training is needed any more."""
    parameters = validate(plugin.parameters, settings.parameters)
    model = resolve(settings.model, settings.storage)  # before the hours of training, not after
    model.check_address()
    log.info("plugin %s, parameters %s", settings.plugin, json.dumps(shown(parameters)))
    with work_dir(settings.work_dir) as folder:
        before = delivery.seen(model) if _uploads(plugin) else None
        if _is_distributed(plugin):
            peers.start_group()
        run = _run(settings, parameters, folder, progress, peers if _is_distributed(plugin) else None, model)
        trained = _learn(plugin, run, parameters)
        delivered = (
            delivery.found(model, folder, before)
            if _uploads(plugin)
            else delivery.deliver(settings, parameters, run, trained, model, folder)
        )
    log.info("model uploaded: %s, %d bytes, sha256 %s", delivered.url, delivered.size_bytes, delivered.sha256)
    return delivered, run.forget_checkpoints


def _learn(plugin: Any, run: TrainingRun, parameters: BaseModel) -> Trained:
    if hasattr(plugin, "train"):
        itself: Plugin = plugin
        trained = itself.train(run, parameters)
    else:
        from vott_trainer.learning.learn import learn  # needs torch

        trained = learn(plugin, run, parameters)  # type: ignore[arg-type] # validated against plugin.parameters
    return replace(trained, metrics=plain_metrics(trained.metrics))


def _run(
    settings: TrainSettings,
    parameters: BaseModel,
    work_dir: Path,
    progress: Progress,
    peers: Peers | None,
    model: Destination,
) -> TrainingRun:
    links = Links(settings.annotations, settings.model, settings.status)
    return TrainingRun(
        links,
        work_dir,
        progress,
        parameters=parameters,
        peers=peers,
        checkpoints=lambda: _checkpoints(settings, model, work_dir),
        interruption=PROCESS,
    )


def _checkpoints(settings: TrainSettings, model: Destination, work_dir: Path) -> Checkpoints | None:
    store, sentence = checkpoint_store(
        settings.checkpoints, model, settings.storage, _key(settings), probe=Ranks.from_environment().leads
    )
    log.info("%s", sentence)
    return Checkpoints(store, work_dir / "checkpoints", settings.checkpoint_seconds) if store else None


def _key(settings: TrainSettings) -> str:
    """Return what tells this training's checkpoints from those of others: without Kubernetes, what it was asked to do."""
    if settings.trainingjob_uid:
        return settings.trainingjob_uid
    urls = [redact_url(url) for url in (settings.annotations, settings.model)]
    asked = json.dumps([settings.plugin, settings.parameters, urls], sort_keys=True)
    return f"local-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _last_word(
    callback: Callback | None, job: TrainingJobStatus | None, progress: Progress, state: CallbackState, message: str
) -> None:
    """Tell the callback how it ended; with a TrainingJob that is the operator's to do."""
    if not callback or job:
        return
    try:
        callback.post(progress.snapshot, state, message)
    except (ReceiverGoneError, Exception) as error:
        log.warning("the last report to the callback failed: %s", error)
