"""What a training leaves for people and other programs beside its weights (docs/results.md)."""

from pathlib import Path

from vott_trainer.report.metrics_file import write_metrics
from vott_trainer.report.page import write_page
from vott_trainer.report.result import Result

__all__ = ["Result", "write"]


def write(folder: Path, result: Result) -> None:
    """Write `metrics.json`, `README.md`, `sample.jpg`, TensorBoard's event files and `report.html` into `folder`."""
    write_metrics(folder / "metrics.json", result)
    write_page(folder / "report.html", result)
