"""`python -m benchmarks`: run the benchmarks, and print each result with its baseline."""

import os

import click

from benchmarks import backlog, latency, memory, reporting, scale, training, training_phases
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.trainer_process import ALLOWED
from tests.support.waiting import install_crd

PARTS = ("backlog", "latency", "scale", "memory", "reporting", "training")

UNFINISHED = 1000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=1000, show_default=True, help="Length of the backlog.")
@click.option("--trainingjobs", default=10_000, show_default=True, help="Number of TrainingJobs for `scale`.")
@click.option("--finished", default=20_000, show_default=True, help="Number of finished TrainingJobs for `memory`.")
@click.option("--trainings", default=1000, show_default=True, help="Number of running trainings for `reporting`.")
@click.option("--seconds", default=180, show_default=True, help="For how long `reporting` measures.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Run only this benchmark. Can be repeated.")
def main(messages: int, trainingjobs: int, finished: int, trainings: int, seconds: int, only: tuple[str, ...]) -> None:
    """Measure the performance of operator and trainer on this machine, relative to baselines."""
    os.environ |= ALLOWED  # the stores are on this machine
    parts = only or PARTS
    if {*parts} - {"reporting", "training"}:
        _measure_operator(parts, messages, trainingjobs, finished)
    if "reporting" in parts:
        with Azurite() as azurite:
            click.echo(reporting.measure(azurite, trainings, seconds))
    if "training" in parts:
        click.echo(training.measure())
        click.echo(training_phases.measure())


def _measure_operator(parts: tuple[str, ...], messages: int, trainingjobs: int, finished: int) -> None:
    with ControlPlane() as control_plane, Azurite() as azurite:
        install_crd(control_plane.kubeconfig)
        if "backlog" in parts:
            click.echo(backlog.measure(control_plane, azurite, messages))
        if "latency" in parts:
            click.echo(latency.measure(control_plane, azurite))
        if "scale" in parts:
            click.echo(scale.measure(control_plane, azurite, trainingjobs))
        if "memory" in parts:
            click.echo(memory.measure(control_plane, azurite, finished, UNFINISHED))


main()
