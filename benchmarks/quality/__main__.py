"""`python -m benchmarks.quality FOLDER …`: train on folders of annotated images, and show how good the models are."""

import os
import queue
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import click

from benchmarks.file_server import served
from benchmarks.quality import data_set as data_sets
from benchmarks.quality import tables, variants
from benchmarks.quality.data_set import DataSet
from benchmarks.quality.runs import LOG, FailedError, Result, Run, is_finished, perform
from benchmarks.quality.variants import Variant


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", nargs=-1, envvar="DATA")
@click.option("--seeds", envvar="SEEDS", type=click.IntRange(1), default=3, show_default=True, help="Runs of each.")
@click.option("--parameters", envvar="PARAMETERS", default="{}", help="The trainer's parameters, as in a message.")
@click.option("--variants", "compared", envvar="VARIANTS", default="", help=f"Compare: '{variants.EXAMPLE}'.")
@click.option(
    "--plugin", envvar="PLUGIN", default="detection", show_default=True, help="What to train; it must take a seed."
)
@click.option(
    "--out", envvar="OUT", help="Folder of the results. Its finished runs are not repeated. Default: a new one."
)
@click.option("--jobs", envvar="JOBS", type=click.IntRange(1), default=1, help="Runs at a time; they share the CPUs.")
def main(data: tuple[str, ...], seeds: int, parameters: str, compared: str, plugin: str, out: str, jobs: int) -> None:
    """Train on each folder (or annotation file) DATA with several seeds, and show how good the models are.

    DATA is a folder with images and their annotation file, or that file. Every fifth image measures the model.
    """
    folder = Path(out or f"dist/quality/{datetime.now():%Y-%m-%d-%H%M%S}").expanduser().resolve()  # noqa: DTZ005
    common = variants.parse_object(parameters)
    chosen = [Variant(variant.name, common | variant.parameters) for variant in variants.parse(compared)]
    runs = _runs(data_sets.find_all(data), chosen, seeds, plugin, folder)
    results = _all_results(runs, jobs)
    _show(results, folder, has_variants=len(chosen) > 1)
    if any(run.seed not in results[run.data_set.name, run.variant.name] for run in runs):
        sys.exit(1)


def _runs(found: Sequence[DataSet], chosen: Sequence[Variant], seeds: int, plugin: str, folder: Path) -> list[Run]:
    """All runs: each seed with all variants before the next seed, so that an interrupted bench has something to compare."""
    return [
        Run(data_set, variant, seed, plugin, folder / data_set.name / variant.name / f"seed-{seed}")
        for seed in range(seeds)
        for data_set in found
        for variant in chosen
    ]


def _all_results(runs: Sequence[Run], jobs: int) -> dict[tables.Group, dict[int, Result]]:
    """Perform all runs that no earlier bench has finished."""
    missing = [run for run in runs if not is_finished(run)]
    if len(missing) < len(runs):
        click.echo(f"{len(runs) - len(missing)} of {len(runs)} runs were finished earlier and are not repeated")
    shares: queue.SimpleQueue[set[int] | None] = queue.SimpleQueue()
    for share in _cpu_shares(jobs):
        shares.put(share)
    with ExitStack() as stack:
        urls = {run.data_set: "" for run in missing}
        urls = {found: stack.enter_context(served(found.folder)) for found in urls}

        def perform_one(run: Run) -> None:
            share = shares.get()
            try:
                _reported(run, perform(run, urls[run.data_set], share))
            except FailedError as error:
                click.echo(f"{run.title}: failed, see {run.folder / LOG}\n{error}", err=True)
            finally:
                shares.put(share)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(perform_one, missing))
    results: dict[tables.Group, dict[int, Result]] = {}
    for run in runs:
        group = results.setdefault((run.data_set.name, run.variant.name), {})
        if is_finished(run):
            group[run.seed] = Result.read(run.folder)
    return results


def _cpu_shares(jobs: int) -> Iterator[set[int] | None]:
    """Yield the CPUs of each of `jobs` runs at a time; None is all of them. The trainer starts as many threads."""
    cpus = sorted(os.sched_getaffinity(0))
    for job in range(jobs):
        yield set(cpus[job % len(cpus) :: jobs]) if jobs > 1 else None


def _reported(run: Run, result: Result) -> None:
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    cost = f"{result.cost.minutes:.1f} minutes, {result.epochs} epochs, {result.cost.peak_mib:.0f} MiB"
    click.echo(f"{run.title}: {metrics}; {cost}")


def _show(results: tables.Results, folder: Path, *, has_variants: bool) -> None:
    """Print the tables, and write them and the picture into the folder."""
    parts = [tables.runs_table(results), "Mean (lowest to highest) over the seeds:", tables.summary_table(results)]
    if has_variants:
        parts += ["Difference to the first variant with the same seed:", tables.differences_table(results)]
    text = "\n\n".join(parts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(text + "\n", encoding="utf-8")
    click.echo(f"\n{text}\n")
    if tables.metric_names(results):
        from benchmarks.quality.picture import draw  # matplotlib, only once the runs' memory has been measured

        draw(results, folder / "results.png")
    click.echo(f"Tables, picture, and the report of each run: {folder}")


main()
