"""Draw line charts as inline SVG, with text in the page's colour for light and dark mode.

Charts contain no text from the data: names go into a legend beside the chart, where they are escaped.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vott_trainer.plugin_api import ReliabilityPoint

COLOURS = (
    "#0b7fc4",
    "#d9480f",
    "#2b9348",
    "#b5179e",
    "#b8860b",
    "#6741d9",
    "#0c8599",
    "#c92a2a",
)  # legible on light and dark
EQUAL = "#868e96"
DASH = 2.5  # line widths
_TEXT = "#010203"  # a placeholder, replaced by the page's colour
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": _TEXT,
    "grid.alpha": 0.12,
}
_REMOVED = (
    re.compile(r"^.*?(?=<svg)", re.DOTALL),
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r"<style.*?</style>", re.DOTALL),  # would apply to the whole page
    re.compile(r' id="(?:figure|axes|patch|line2d|matplotlib|xtick|ytick|text)[^"]*"'),  # not unique in the page
    re.compile(r"font-family: [^;]*; "),  # the page's font applies
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name for the legend, and (x, y) points."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = COLOURS[0]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its title, an explanation of how to read it, and the lines of its legend."""

    title: str
    meaning: str
    svg: Markup
    lines: list[Line]


def over_epochs(title: str, meaning: str, lines: list[Line], *, from_0_to_1: bool) -> Chart:
    """Draw lines over the epochs."""
    figure, axes = _figure("epoch", "", lines)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, 1.02 if from_0_to_1 else None)
    return Chart(title, meaning, _svg(figure, title), lines)


def precision_recall(title: str, meaning: str, lines: list[Line]) -> Chart:
    """Draw precision over recall, both from 0 to 1."""
    figure, axes = _figure(
        "recall: share of the objects that are found", "precision: share of correct predictions", lines
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    return Chart(title, meaning, _svg(figure, title), lines)


def reliability(title: str, meaning: str, points: Sequence[ReliabilityPoint]) -> Chart:
    """Draw the share of correct predictions over their score, with the number of predictions, and where both are equal."""
    equal = Line("score and share are equal", [(0.0, 0.0), (1.0, 1.0)], EQUAL)
    model = Line("this model", [(point.score, point.correct) for point in points])
    figure, axes = _figure("score", "share of correct predictions", [model])
    axes.plot((0, 1), (0, 1), color=equal.colour, linestyle="dashed", zorder=1)
    axes.plot(*zip(*model.points, strict=True), "o", color=model.colour)
    with mpl.rc_context(_STYLE):
        for point in points:
            axes.annotate(
                f"{point.count:,}",
                (point.score, point.correct),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.12)
    return Chart(title, meaning, _svg(figure, title), [model, equal])


def _figure(x: str, y: str, lines: list[Line]) -> tuple[Figure, Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        axes.grid(visible=True)
        for number, line in enumerate(lines):
            horizontal, vertical = zip(*line.points, strict=True)
            axes.plot(
                horizontal,
                vertical,
                color=line.colour,
                linewidth=2,
                linestyle=_dashes(number, len(lines)),
                marker="o" if len(horizontal) == 1 else None,
            )
    return figure, axes


def _dashes(number: int, total: int) -> Any:
    """Style a line with larger gaps than the line below it, so that identical curves all stay visible."""
    return (0, ((total - number) * DASH, number * DASH)) if number else "solid"


def _svg(figure: Figure, title: str) -> Markup:
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE | {"svg.hashsalt": title}):  # unique ids in the page, and reproducible
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    for pattern in _REMOVED:
        text = pattern.sub("", text)
    paths = text.partition(">")[2].replace(_TEXT, "currentColor")
    drawing = Markup(paths)  # noqa: S704 # nosec B704 # drawn from numbers only
    return Markup('<svg role="img" aria-label="{}" viewBox="0 0 {:g} {:g}">').format(title, *_points(figure)) + drawing


def _points(figure: Figure) -> tuple[float, float]:
    width, height = figure.get_size_inches() * 72
    return width, height
