"""`python -m demo`: command line and exit codes."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from azure.core.exceptions import AzureError

from demo.data import archive_of
from demo.environment import LOCAL, Site, cluster_site, daemon_site
from demo.errors import DemoError, SetupError
from demo.kubectl import KubectlError
from demo.run import Demo, Options
from localcluster.errors import LocalClusterError, MissingPrerequisiteError

INTERRUPTED = 130
DAEMON_LOG = "traind.log"
SHAPES_MINUTES, SHAPES_SECONDS = 0.75, 900
DATA_SECONDS = 24 * 3600
LEARNERS = (
    None,
    "detection",
    "segmentation",
    "classification",
)  # plugins that have a budget; None is the default


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--data",
    envvar="DATA",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Folder or archive with your own images and annotations, instead of drawn shapes.",
)
@click.option("--images", default=48, type=click.IntRange(8, 2000), help="Number of images to generate and train on.")
@click.option("--epochs", type=click.IntRange(1, 1000), help="Number of epochs, instead of a time limit.")
@click.option(
    "--minutes",
    envvar="MINUTES",
    show_envvar=True,
    type=click.FloatRange(0.1, 10_000),
    help=f"Minutes of training: the parameter budgetMinutes.  [default: {SHAPES_MINUTES} for drawn shapes, which are learned quickly, "
    "the trainer's for your own images]",
)
@click.option(
    "--plugin",
    envvar="PLUGIN",
    show_envvar=True,
    help="Training plugin, for example classification or hello-world.  [default: detection]",
)
@click.option(
    "--time-limit",
    type=click.IntRange(1),
    metavar="SECONDS",
    help=f"Maximum duration.  [default: {SHAPES_SECONDS}, a day for your own images]",
)
@click.option(
    "--output",
    default=LOCAL / "demo",
    show_default=".local/demo",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the model and the predicted image.",
)
@click.option("--keep", is_flag=True, help="Keep images and model in the storage account of a cluster.")
@click.option(
    "--local",
    envvar="LOCAL",
    show_envvar=True,
    is_flag=True,
    help="Train with the daemon traind.py on this machine: without Kubernetes, images and root.",
)
def main(
    data: Path | None,
    images: int,
    epochs: int | None,
    minutes: float | None,
    plugin: str | None,
    time_limit: int | None,
    output: Path,
    keep: bool,
    local: bool,
) -> None:
    """Train a detector on a Kubernetes cluster, from a queue message to a model in a container, and show the progress.

    With LOCAL=1, the daemon traind.py trains on this machine, with a storage emulator; both end with the demo.

    Otherwise, without KUBECONFIG, the demo starts a cluster on this machine (Linux, root). With KUBECONFIG, it installs the chart
    on that cluster and needs OPERATOR_IMAGE, TRAINER_IMAGE and AZURE_STORAGE_CONNECTION_STRING. HOST_ADDRESS (this
    host's address for pods), NAMESPACE and QUEUE_NAME are optional. VOTT_TRAIN_LOCAL=1 starts the local cluster anyway.

    Exit codes: 0 training complete, model downloaded and verified, last callback "succeeded"; 1 failure; 2 missing
    prerequisite; 130 interrupted.
    """
    minutes = minutes or (None if data else SHAPES_MINUTES)
    budget = {"budgetMinutes": minutes} if minutes and plugin in LEARNERS else {}
    parameters = {"epochs": epochs} if epochs else budget
    seconds = time_limit or (DATA_SECONDS if data else SHAPES_SECONDS)
    try:
        with archive_of(data) if data else nullcontext() as archive, _site(local, output / DAEMON_LOG) as site:
            Demo(site, Options(archive, images, plugin, parameters, seconds, output, keep)).run()
    except MissingPrerequisiteError as error:
        raise SetupError(str(error)) from error
    except (KubectlError, LocalClusterError, AzureError, ValueError) as error:
        raise DemoError(str(error)) from error
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _site(local: bool, log: Path) -> AbstractContextManager[Site]:
    return daemon_site(log) if local else nullcontext(cluster_site())


if __name__ == "__main__":
    main(prog_name="python -m demo")
