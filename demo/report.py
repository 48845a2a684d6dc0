"""The demo's last page: table, callbacks, model, image."""

from pathlib import Path
from typing import Any

from demo.result import Model

COLUMNS = ("state", "progress", "epoch_current", "epoch_total", "step_current", "step_total", "classification_loss")


def callback_table(posts: list[dict[str, Any]]) -> str:
    """The first and the last post, one line each, under the names of their fields."""
    rows = [("", *COLUMNS), ("first", *_cells(posts[0])), ("last", *_cells(posts[-1]))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(_padded(row, widths) for row in rows)


def metric_lines(metrics: dict[str, Any]) -> str:
    """The metrics that are numbers, one a line."""
    numbers = {name: value for name, value in metrics.items() if type(value) in (int, float)}
    width = max((len(name) for name in numbers), default=0)
    return "\n".join(f"{name.ljust(width)}  {value:.4g}" for name, value in numbers.items())


def save(model: Model, folder: Path) -> tuple[Path, Path | None]:
    """Write `model.tgz` and, where the model brought a sample, `predicted.jpg`; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    archive, predicted = folder / "model.tgz", folder / "predicted.jpg"
    archive.write_bytes(model.archive)
    if model.sample is None:
        predicted.unlink(missing_ok=True)  # one of an earlier run would mislead
        return archive, None
    predicted.write_bytes(model.sample)
    return archive, predicted


def _padded(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(post: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_cell(post.get(column)) for column in COLUMNS)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
