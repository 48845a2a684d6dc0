"""What a training leaves for people and other programs beside its weights (docs/results.md)."""

from pathlib import Path

from vott_trainer.report.card import write_card
from vott_trainer.report.metrics_file import write_metrics
from vott_trainer.report.page import write_page
from vott_trainer.report.pictures import write_sample
from vott_trainer.report.result import Result
from vott_trainer.report.tensorboard import write_events

__all__ = ["Result", "write"]


def write(folder: Path, result: Result) -> None:
    """Write `metrics.json`, `README.md`, `sample.jpg`, TensorBoard's event files and `report.html` into the model's folder."""
    write_metrics(folder / "metrics.json", result)
    write_events(folder / "tensorboard", result)
    write_sample(folder / "sample.jpg", result.evaluation.examples if result.evaluation else [])
    write_card(folder / "README.md", result)
    write_page(folder / "report.html", result)  # last: it names the files beside it
