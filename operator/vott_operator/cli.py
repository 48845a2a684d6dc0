"""The command `vott-train`."""

import asyncio
import gc
import logging
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click
import kopf

from vott_guard.log_format import RedactingFormatter
from vott_messaging.errors import VottError
from vott_messaging.messages import json_schema
from vott_operator import handlers, metrics
from vott_operator.api import crd
from vott_operator.app import App
from vott_operator.monitoring.server import MetricsServer
from vott_operator.objects import preflight
from vott_operator.queue_commands import queue
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
    "--liveness", default="http://0.0.0.0:8080/healthz", show_default=True, help="URL at which to answer health probes."
)
@click.option(
    "--metrics",
    "metrics_url",
    default="http://0.0.0.0:9090/metrics",
    show_default=True,
    help="URL at which to offer metrics for Prometheus.",
)
def run(liveness: str, metrics_url: str) -> None:
    """Run the operator until it is stopped.

    Settings come from the YAML file in VOTT_TRAIN_CONFIG and from the environment. At least these are required:
    a queue's credentials, such as AZURE_STORAGE_CONNECTION_STRING or AZURE_SERVICE_BUS_CONNECTION_STRING, and
    VOTT_TRAIN_TRAINER__IMAGE.
    """
    try:
        settings = load()
        preflight.check(settings)
        _configure_logging(settings)
        logger.info("allowed for URLs in messages: %s", settings.outgoing)
        logger.info("callbacks are %s", "signed" if settings.callbacks.signed else "not signed")
        asyncio.run(_operate(settings, liveness, metrics_url))
    except VottError as error:
        raise click.ClickException(str(error)) from None


@main.command("crd")
def print_crd() -> None:
    """Print the TrainingJob CustomResourceDefinition as YAML."""
    click.echo(crd.to_yaml(), nl=False)


@main.command("schema")
@click.argument("name", type=click.Choice(json_schema.NAMES))
def print_schema(name: str) -> None:
    """Print the JSON Schema of the message, or of a callback's body."""
    click.echo(json_schema.to_json(name), nl=False)


main.add_command(queue)


async def _operate(settings: Settings, liveness: str, metrics_url: str) -> None:
    metrics.BUILD.info({"version": _version(), "python": platform.python_version()})
    # A list page creates tens of thousands of short-lived objects; with the default of 700, most CPU time goes to cycle detection.
    gc.set_threshold(50_000, 20, 20)
    async with MetricsServer(metrics_url), App(settings) as app:
        await kopf.operator(
            registry=handlers.registry,
            memo=kopf.Memo(app=app),
            namespaces=settings.namespaces,
            standalone=True,
            liveness_endpoint=liveness,
            stop_flag=app.ended,
        )
        app.check()


def _configure_logging(settings: Settings) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    # They log every request at INFO, the Azure client with its URL.
    for name in ("azure", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(max(logging.getLogger().level, logging.WARNING))
