"""`python -m benchmarks`: measure, and print each figure beside its yardstick."""

import os

import click

from benchmarks import backlog, phases, training
from tests.support.trainer_process import ALLOWED


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=1000, show_default=True, help="Length of the backlog.")
@click.option("--only", type=click.Choice(["backlog", "training"]), help="Measure this alone.")
def main(messages: int, only: str | None) -> None:
    """Measure the operator's and the trainer's speed against plain yardsticks, in one run on this machine."""
    os.environ |= ALLOWED  # the stores are this machine's own
    if only != "training":
        click.echo(backlog.measure(messages))
    if only != "backlog":
        click.echo(training.measure())
        click.echo(phases.measure())


main()
