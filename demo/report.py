"""The demo's final output: callbacks, metrics and files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.result import Model

COLUMNS = ("state", "progress", "epoch_current", "epoch_total", "step_current", "step_total", "classification_loss")


def callback_table(posts: list[dict[str, Any]]) -> str:
    """A table of the first and the last callback."""
    rows = [("", *COLUMNS), ("first", *_cells(posts[0])), ("last", *_cells(posts[-1]))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(_padded(row, widths) for row in rows)


def metric_lines(metrics: dict[str, Any]) -> str:
    """The numeric metrics, one per line."""
    numbers = {name: value for name, value in metrics.items() if type(value) in (int, float)}
    width = max((len(name) for name in numbers), default=0)
    return "\n".join(f"{name.ljust(width)}  {value:.4g}" for name, value in numbers.items())


@dataclass(frozen=True)
class Saved:
    """Paths of the model, its report and a held-out image with predictions; None if the model has no such file."""

    archive: Path
    report: Path | None
    predicted: Path | None


def save(model: Model, folder: Path) -> Saved:
    """Write `model.tgz`, `report.html` and `predicted.jpg`."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "model.tgz"
    archive.write_bytes(model.archive)
    return Saved(archive, _save(model.report, folder / "report.html"), _save(model.sample, folder / "predicted.jpg"))


def _save(content: bytes | None, path: Path) -> Path | None:
    if content is None:
        path.unlink(missing_ok=True)  # remove the file of an earlier run
        return None
    path.write_bytes(content)
    return path


def _padded(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(post: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_cell(post.get(column)) for column in COLUMNS)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
