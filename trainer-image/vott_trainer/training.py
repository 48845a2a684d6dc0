"""One training, from its settings to the delivered model: the order of its steps."""

import json
import logging

from vott_trainer import plugins
from vott_trainer.delivery import deliver
from vott_trainer.parameters import shown, validate
from vott_trainer.plugin_runner import run_plugin, trains_in_all_processes, uploads_itself
from vott_trainer.plugin_upload import find_uploaded, version_before
from vott_trainer.process.library_errors import translated
from vott_trainer.process.peers import Peers, join
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.work_dir import work_dir
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.reporter import StatusReceiver
from vott_trainer.progress.reporting import Reporting
from vott_trainer.progress.status_file import StatusFile
from vott_trainer.progress.trainingjob_status import TrainingJobStatus
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.destination_url import resolve
from vott_trainer.training_run import TrainingRun

log = logging.getLogger(__name__)


def train(settings: TrainSettings, ranks: Ranks = Ranks()) -> None:  # noqa: B008 - frozen
    """Do this process's part of a training; rank 0 also delivers the model and reports.

    Raises:
        TrainerError: the training failed; without a TrainingJob or status file the outcome has been posted to the callback.
    """
    with translated(ranks):
        peers = join(ranks)
        if ranks.leads:
            _lead(settings, peers)
        else:
            _assist(settings, peers)


def _lead(settings: TrainSettings, peers: Peers) -> None:
    """Train, deliver and report, as rank 0."""
    reporting = _reporting(settings)
    with reporting.failures_reported(), translated(peers.ranks):
        plugin = plugins.load(settings.plugin)
        progress = reporting.start(to_callback=not uploads_itself(plugin))
        parameters = validate(plugin.parameters, settings.parameters, settings.budget_minutes)
        destination = resolve(settings.model, settings.storage)  # before hours of training, not after
        destination.check_address()
        log.info("plugin %s, parameters %s", settings.plugin, json.dumps(shown(parameters)))
        with work_dir(settings.work_dir) as folder:
            previous = version_before(destination) if uploads_itself(plugin) else None
            if trains_in_all_processes(plugin):
                peers.start_group()
            shared = peers if trains_in_all_processes(plugin) else None
            run = TrainingRun.from_settings(settings, parameters, destination, folder, progress, shared)
            trained = run_plugin(plugin, run, parameters)
            if uploads_itself(plugin):
                model = find_uploaded(destination, folder, previous)
            else:
                model = deliver(settings, parameters, run, trained, destination, folder)
        log.info("model uploaded: %s, %d bytes, sha256 %s", model.url, model.size_bytes, model.sha256)
    reporting.report_model(model)
    run.delete_checkpoints()  # not earlier: a failure up to here is retried
    reporting.post_success()
    peers.end()


def _reporting(settings: TrainSettings) -> Reporting:
    """Return the receivers of the training's reports.

    Raises:
        InvalidParametersError: the TrainingJob is not `NAMESPACE/NAME`, or this is not a pod.
    """
    status: StatusReceiver | None = None
    if settings.trainingjob:
        status = TrainingJobStatus.in_cluster(settings.trainingjob, settings.trainingjob_uid)
    elif settings.status_file:
        status = StatusFile(settings.status_file)
    return Reporting(status, Callback(settings.status, settings.job) if settings.status else None)


def _assist(settings: TrainSettings, peers: Peers) -> None:
    """Train with rank 0 if the plugin trains in all processes, and end once rank 0 has ended."""
    plugin = plugins.load(settings.plugin)
    parameters = validate(plugin.parameters, settings.parameters, settings.budget_minutes)
    if trains_in_all_processes(plugin):
        peers.start_group()
        destination = resolve(settings.model, settings.storage)
        with work_dir(settings.work_dir) as folder:
            run = TrainingRun.from_settings(settings, parameters, destination, folder, Progress(), peers)
            run_plugin(plugin, run, parameters)
    peers.wait_for_end()
