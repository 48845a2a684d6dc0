"""The results as Markdown tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean

from benchmarks.quality.runs import Result

Group = tuple[str, str]
"""Names of data set and variant."""
Results = Mapping[Group, Mapping[int, Result]]
"""Results by group and seed; a run that failed is missing."""


def metric_names(results: Results) -> list[str]:
    """The metrics of all runs, in the trainer's order."""
    return list(dict.fromkeys(name for runs in results.values() for run in runs.values() for name in run.metrics))


def runs_table(results: Results) -> str:
    """One row per run."""
    names = metric_names(results)
    rows = [
        [*group, str(seed), *_metrics(run, names), *_cost(run), _network(run), run.device]
        for group, runs in results.items()
        for seed, run in sorted(runs.items())
    ]
    head = ["data set", "variant", "seed", *names, "epochs", "minutes", "CPU minutes", "peak MiB", "network", "device"]
    return _table(head, rows)


def summary_table(results: Results) -> str:
    """One row per data set and variant: the mean over the seeds, and in brackets the lowest and the highest value."""
    names = metric_names(results)
    rows = []
    for group, runs in results.items():
        if all_runs := list(runs.values()):
            columns = [_spread([run.metrics[name] for run in all_runs if name in run.metrics], ".3f") for name in names]
            columns.append(_spread([run.epochs for run in all_runs], ".0f"))
            columns.append(_spread([run.cost.minutes for run in all_runs], ".1f"))
            columns.append(_spread([run.cost.peak_mib for run in all_runs], ".0f"))
            rows.append([*group, str(len(all_runs)), *columns])
    return _table(["data set", "variant", "runs", *names, "epochs", "minutes", "peak MiB"], rows)


def differences_table(results: Results) -> str:
    """One row per data set and variant but the first: the difference to the first with the same seed, mean and range."""
    names = metric_names(results)
    first: dict[str, Mapping[int, Result]] = {}
    rows = []
    for (data_set, variant), runs in results.items():
        base = first.setdefault(data_set, runs)
        seeds = sorted(base.keys() & runs.keys())
        if runs is not base and seeds:
            metrics = (_differences(base, runs, seeds, _metric(name)) for name in names)
            columns = [_spread(values, "+z.3f") for values in metrics]
            columns.append(_spread(_differences(base, runs, seeds, lambda run: run.cost.minutes), "+z.1f"))
            rows.append([data_set, variant, str(len(seeds)), *columns])
    return _table(["data set", "variant", "seeds", *names, "minutes"], rows)


def _metric(name: str) -> Callable[[Result], float]:
    return lambda run: run.metrics[name]


def _differences(
    base: Mapping[int, Result], runs: Mapping[int, Result], seeds: Iterable[int], value: Callable[[Result], float]
) -> list[float]:
    return [value(runs[seed]) - value(base[seed]) for seed in seeds]


def _metrics(run: Result, names: Iterable[str]) -> list[str]:
    return [f"{run.metrics[name]:.3f}" if name in run.metrics else "" for name in names]


def _cost(run: Result) -> list[str]:
    cost = run.cost
    return [str(run.epochs), f"{cost.minutes:.1f}", f"{cost.cpu_minutes:.1f}", f"{cost.peak_mib:.0f}"]


def _network(run: Result) -> str:
    architecture, size = run.settings.get("architecture"), run.settings.get("imageSize")
    return f"{architecture} at {size} px" if architecture and size else str(architecture or "")


def _spread(values: Sequence[float], digits: str) -> str:
    if not values:
        return ""
    average, low, high = (f"{value:{digits}}" for value in (mean(values), min(values), max(values)))
    return average if low == high else f"{average} ({low} to {high})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
