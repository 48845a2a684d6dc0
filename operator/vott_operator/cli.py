"""The command `vott-train`."""

import asyncio
import gc
import logging
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from vott_messaging.errors import VottError
from vott_messaging.messages import json_schema
from vott_operator import logs, metrics, watches
from vott_operator.api import crd
from vott_operator.app import App
from vott_operator.health.server import ProbeServer
from vott_operator.monitoring.server import MetricsServer
from vott_operator.objects import preflight
from vott_operator.queue_commands import queue
from vott_operator.settings import chart_values
from vott_operator.settings.loading import load
from vott_operator.settings.operator import Settings

logger = logging.getLogger(__name__)


def _version() -> str:
    try:
        return version("vott-train")
    except PackageNotFoundError:
        return "unknown (run from a checkout, not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="vott-train")
def main() -> None:
    """VoTT Train: turns VoTT's training messages into PyTorch trainings on Kubernetes."""


@main.command()
@click.option(
    "--probes", default=":8080", show_default=True, metavar="ADDRESS:PORT", help="Answer /healthz and /readyz there."
)
@click.option(
    "--metrics",
    "metrics_address",
    default=":9090",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Answer /metrics there, for Prometheus.",
)
def run(probes: str, metrics_address: str) -> None:
    """Run the operator until it is stopped.

    Settings come from the YAML file in VOTT_TRAIN_CONFIG and from the environment. At least these are required:
    a queue's credentials, such as AZURE_STORAGE_CONNECTION_STRING or AZURE_SERVICE_BUS_CONNECTION_STRING, and
    VOTT_TRAIN_TRAINER__IMAGE.
    """
    try:
        settings = load()
        preflight.check(settings)
    except VottError as error:
        raise click.ClickException(str(error)) from None
    logs.configure(settings)
    logger.info("allowed for URLs in messages: %s", settings.outgoing)
    logger.info("callbacks are %s", "signed" if settings.callbacks.signed else "not signed")
    try:
        asyncio.run(_operate(settings, probes, metrics_address))
    except VottError as error:
        logger.critical("the operator ends: %s", error)
        sys.exit(1)
    except Exception:
        logger.critical("the operator ends because of an internal error", exc_info=True)
        sys.exit(1)


@main.command("crd")
def print_crd() -> None:
    """Print the TrainingJob CustomResourceDefinition as YAML."""
    click.echo(crd.to_yaml(), nl=False)


@main.command("schema")
@click.argument("name", type=click.Choice([*json_schema.NAMES, "values"]))
def print_schema(name: str) -> None:
    """Print the JSON Schema of the message, of a callback's body, or of the chart's values."""
    click.echo(chart_values.to_json() if name == "values" else json_schema.to_json(name), nl=False)


main.add_command(queue)


async def _operate(settings: Settings, probes: str, metrics_address: str) -> None:
    metrics.BUILD.info({"version": _version(), "python": platform.python_version()})
    # A list page creates tens of thousands of short-lived objects; with the default of 700, most CPU time goes to cycle detection.
    gc.set_threshold(50_000, 20, 20)
    async with MetricsServer(metrics_address), App(settings) as app, ProbeServer(probes, app.defect, app.health):
        await watches.run(app)
        app.check()
