"""`python -m demo`: one training from images to model, watched."""

import sys
from pathlib import Path

import click
from azure.core.exceptions import AzureError

from demo.environment import LOCAL, find_site
from demo.errors import DemoError, SetupError
from demo.kubectl import KubectlError
from demo.run import Demo, Options
from localcluster.errors import LocalClusterError, MissingPrerequisiteError

INTERRUPTED = 130


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--images", default=48, type=click.IntRange(8, 2000), help="Number of images to make and train on.")
@click.option("--epochs", type=click.IntRange(1, 1000), help="Number of epochs.  [default: the trainer's]")
@click.option("--plugin", help="Plugin that trains, for example hello-world.  [default: the operator's]")
@click.option("--time-limit", default=900, type=click.IntRange(1), metavar="SECONDS", help="How long to wait.")
@click.option(
    "--output",
    default=LOCAL / "demo",
    show_default=".local/demo",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the model and the predicted image.",
)
@click.option("--keep", is_flag=True, help="Leave images and model in the storage account afterwards.")
def main(images: int, epochs: int | None, plugin: str | None, time_limit: int, output: Path, keep: bool) -> None:
    """Train a detector on a Kubernetes cluster, from a message on the queue to a model in a container, and watch it.

    Without KUBECONFIG, a cluster is started on this machine (Linux, root). With KUBECONFIG, the demo installs the chart
    on that cluster and needs OPERATOR_IMAGE, TRAINER_IMAGE and AZURE_STORAGE_CONNECTION_STRING; HOST_ADDRESS (this host
    as pods reach it), NAMESPACE and QUEUE_NAME are optional. VOTT_TRAIN_LOCAL=1 starts the local cluster all the same.

    Exit code 0 says: TrainingJob Complete, model downloaded and verified, last callback "succeeded". 1: something of
    this is not so. 2: something has to be set or installed first. 130: interrupted.
    """
    parameters = {"epochs": epochs} if epochs else {}
    try:
        Demo(find_site(), Options(images, plugin, parameters, time_limit, output, keep)).run()
    except MissingPrerequisiteError as error:
        raise SetupError(str(error)) from error
    except (KubectlError, LocalClusterError, AzureError, ValueError) as error:
        raise DemoError(str(error)) from error
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main(prog_name="python -m demo")
