"""The results as a picture: a panel per metric, a bar for each mean, a point for each seed."""

from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.quality.tables import Results, metric_names

PANELS = 2  # the trainer's first metrics are the important ones
_INCHES_PER_BAR = 0.7


def draw(results: Results, path: Path) -> None:
    """Write the picture to `path`; its extension decides the format."""
    names = metric_names(results)[:PANELS]
    data_sets = list(dict.fromkeys(data_set for data_set, _ in results))
    width = max(3.0, _INCHES_PER_BAR * (len(results) + len(data_sets))) * len(names)
    figure = Figure(figsize=(width, 4.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _panel(axes, results, name, data_sets)
    handles, variants = figure.axes[0].get_legend_handles_labels()
    if len(variants) > 1:
        figure.legend(handles, variants, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def _panel(axes: Axes, results: Results, name: str, data_sets: list[str]) -> None:
    variants = list(dict.fromkeys(variant for _, variant in results))
    width = 0.8 / len(variants)
    for place, variant in enumerate(variants):
        values = {
            number: [run.metrics[name] for run in results.get((data_set, variant), {}).values() if name in run.metrics]
            for number, data_set in enumerate(data_sets)
        }
        at = {number: number + (place - (len(variants) - 1) / 2) * width for number in values}
        means = [mean(values[number]) if values[number] else 0.0 for number in values]
        bars = axes.bar(list(at.values()), means, 0.9 * width, color=f"C{place}", alpha=0.6, label=variant)
        axes.bar_label(bars, [f"{value:.2f}" for value in means], label_type="center", fontsize=8)
        points = [(at[number], value) for number in values for value in values[number]]
        axes.scatter([x for x, _ in points], [y for _, y in points], s=14, color="black", zorder=3)
    axes.set(title=name, ylim=(0, 1.08))
    axes.set_xticks(range(len(data_sets)), data_sets)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
