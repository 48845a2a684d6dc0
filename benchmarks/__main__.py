"""`python -m benchmarks`: measure, and print each figure beside its yardstick."""

import click

from benchmarks import backlog, phases, training


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=1000, show_default=True, help="Length of the backlog.")
@click.option("--only", type=click.Choice(["backlog", "training"]), help="Measure this alone.")
def main(messages: int, only: str | None) -> None:
    """Measure the operator's and the trainer's speed against plain yardsticks, in one run on this machine."""
    if only != "training":
        click.echo(backlog.measure(messages))
    if only != "backlog":
        click.echo(training.measure())
        click.echo(phases.measure())


main()
