"""The command `traind.py`: options, help, and the exit code."""

import asyncio
import logging
import sys
from pathlib import Path

import click

from vott_guard import exit_codes
from vott_messaging.errors import VottError
from vott_messaging.settings.address import parse_address
from vott_traind.daemon import Daemon, Options
from vott_traind.devices import divide, find_gpus
from vott_traind.folders import DEFAULT_STATE, TEMPORARY, is_in_container_layer, open_state, open_work
from vott_traind.output import open_output
from vott_traind.settings import load_settings
from vott_trainer.version import VERSION

logger = logging.getLogger(__name__)


class _UnusableSettingsError(click.ClickException):
    exit_code = exit_codes.USAGE


@click.command("traind.py", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="traind.py")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    envvar="VOTT_TRAIN_STATE",
    help=f"Folder that outlives restarts: which messages are trained, which callbacks are still to be posted.  [default: {DEFAULT_STATE}]",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    envvar="VOTT_WORK_DIR",
    help="Folder for images and models while they are trained; needs the most space.  [default: below the state]",
)
@click.option(
    "--gpus-per-training",
    type=click.IntRange(min=1),
    envvar="VOTT_TRAIN_GPUS_PER_TRAINING",
    default=1,
    show_default=True,
    help="GPUs of each training. As many trainings run at a time as the machine's GPUs allow; without a GPU, one.",
)
@click.option(
    "--http",
    metavar="ADDRESS:PORT",
    envvar="VOTT_TRAIN_HTTP",
    help="Answer /healthz and /metrics (Prometheus) there, such as :8080.  [default: nowhere]",
)
def main(state: Path | None, work: Path | None, gpus_per_training: int, http: str | None) -> None:
    """Train the messages of a queue on this machine, one after the other, without Kubernetes.

    Each message, such as {"annotations": URL, "model": URL, "status": URL}, is trained in a process of its own, and deleted
    from the queue once its model is uploaded and verified. A message that can't be trained is dead-lettered with the reason.
    Stop with SIGTERM or Ctrl-C: running trainings save a checkpoint, and the next start goes on from there.

    \b
    Azure Storage Queue:
      AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_KEY  (or AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN)
      AZURE_STORAGE_QUEUE_NAME                       default: training
    \b
    Azure Service Bus:
      AZURE_SERVICE_BUS_NAMESPACE, AZURE_SERVICE_BUS_ACCESS_KEY_NAME, AZURE_SERVICE_BUS_ACCESS_KEY_VALUE
                                                     (or AZURE_SERVICE_BUS_CONNECTION_STRING)
      AZURE_SERVICE_BUS_QUEUE_NAME                   default: training
    \b
    Trainings:
      VOTT_TRAIN_PLUGIN                              plugin of messages that name none, default: detection
      VOTT_TRAIN_TRAINER__BUDGET_MINUTES             minutes of training
      VOTT_TRAIN_TRAINER__TERMINATION_GRACE_PERIOD_SECONDS
                                                     from SIGTERM to SIGKILL, default: 60
      VOTT_TRAIN_TRAINING_JOB__BACKOFF_LIMIT         how often a failed training is retried, default: 3
      VOTT_CHECKPOINTS, VOTT_IMAGE_CACHE, VOTT_PLUGINS, VOTT_MODEL_CONTAINERS, VOTT_MODEL_BUCKETS, AWS_…
                                                     as for the trainer alone (docs/trainer-contract.md)
    \b
    Several queues, signed callbacks, private addresses:
      VOTT_TRAIN_CONFIG                              a YAML file with the operator's sections queues, plugins, outgoing,
                                                     callbacks, trainer, trainingJob and logLevel

    \b
    Examples:
      docker run --rm --gpus all -e AZURE_STORAGE_ACCOUNT_NAME -e AZURE_STORAGE_KEY -e VOTT_TRAIN_PLUGIN IMAGE traind.py
      docker run -d --init --gpus all --shm-size 2g --stop-timeout 90 --restart unless-stopped -v vott-train:/var/lib/vott-traind \\
        -v ./settings.yaml:/settings.yaml:ro -e VOTT_TRAIN_CONFIG=/settings.yaml IMAGE traind.py --http :8080
    """
    try:
        settings = load_settings()
        output = open_output(sys.stdout, settings.log_level)
        folder = open_state(state)
        options = Options(folder, open_work(work, folder), divide(find_gpus(), gpus_per_training), http)
        if http:
            parse_address("--http", http)
        _log_options(options)
        logger.info("callbacks are %s", "signed" if settings.callbacks.signed else "not signed")
        asyncio.run(Daemon(settings, options, output).run())
    except VottError as error:
        raise _UnusableSettingsError(str(error)) from None


def _log_options(options: Options) -> None:
    slots = ", ".join(map(str, options.slots))
    logger.info("VoTT Train %s: %d training(s) at a time, on %s", VERSION, len(options.slots), slots)
    if cause := _why_temporary(options.state.path):
        logger.warning(
            "the state in %s may not outlive a restart: %s. Then an interrupted message trains from the start, or from its checkpoint"
            " beside the model. Mount a volume at %s, or choose a folder with --state.",
            options.state.path,
            cause,
            DEFAULT_STATE,
        )


def _why_temporary(state: Path) -> str:
    """Say why the state may be lost; empty if nothing speaks for it."""
    if state == TEMPORARY:
        return f"{DEFAULT_STATE} can't be written"
    return "it is in no volume of the container" if is_in_container_layer(state) else ""
