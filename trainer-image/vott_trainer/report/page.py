"""report.html: one file that needs neither network nor scripts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vott_trainer.report import confusion_table, formatting, tables, wording
from vott_trainer.report.advice import advice
from vott_trainer.report.grades import grade
from vott_trainer.report.pictures import pictures
from vott_trainer.report.result import Result

if TYPE_CHECKING:
    from vott_trainer.report.charts import Chart

MOST_MISTAKES = 10  # listed instead of a matrix that is too large
FILES = {
    "README.md": "the model card: a short description of the model",
    "config.json": "what is needed to load the model again",
    "labels.txt": "the classes, one per line",
    "metrics.json": "all metrics in this report, for programs",
    "model.onnx": "the model for ONNX Runtime and other programs",
    "model.safetensors": "the model's weights, for PyTorch",
    "report.html": "this report",
    "sample.jpg": "a held-out image with the model's predictions",
    "tensorboard": "the training curves for TensorBoard: tensorboard --logdir tensorboard",
}


def write_page(path: Path, result: Result) -> None:
    """Write the report to `path`; it lists the files beside it."""
    path.write_text(_environment().get_template("report.html.j2").render(_content(path, result)), encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vott_trainer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": formatting.duration,
        "shown": formatting.shown,
        "spaced": formatting.spaced,
        "count": formatting.count,
    }
    return environment


def _content(path: Path, result: Result) -> dict[str, Any]:
    evaluation = result.evaluation
    examples = evaluation.examples if evaluation else []
    confusion = evaluation.confusion if evaluation else None
    wrong = pictures(example for example in examples if not example.is_correct)
    correct = pictures(example for example in examples if example.is_correct)
    return {
        "result": result,
        "heading": wording.heading(result),
        "grade": grade(evaluation) if evaluation else "",
        "summary": wording.summary(result),
        "caveat": wording.caveat(evaluation) if evaluation else "",
        "headline": tables.headline(result),
        "advice": advice(result),
        "wrong": wrong,
        "correct": correct,
        "doubtful": any(picture.doubtful for picture in wrong),
        "has_boxes": any(picture.marks for picture in (*wrong, *correct)),
        "classes": tables.classes(evaluation),
        "folds": tables.folds(evaluation),
        "matrix": confusion_table.matrix(confusion),
        "duplicates": confusion_table.duplicates(confusion),
        "mistakes": confusion_table.mistakes(confusion)[:MOST_MISTAKES],
        "charts": _charts(result),
        "data": tables.data(result.counts),
        "findings": tables.findings(result.findings),
        "settings": tables.settings(result),
        "boxes": wording.measures_boxes(evaluation),
        "thresholds": bool(evaluation and evaluation.thresholds),
        "onnx": result.details.get("onnx"),
        "files": _files(path),
    }


def _charts(result: Result) -> list["Chart"]:
    if not result.history and not result.evaluation:
        return []
    from vott_trainer.report.curves import curves  # imports matplotlib, which takes a second

    return curves(result)


def _files(report: Path) -> dict[str, str]:
    """Return name and meaning of each file in the model's folder, including the report."""
    names = {entry.name for entry in report.parent.iterdir()} | {report.name}
    return {name: FILES.get(name, "written by the plugin") for name in sorted(names)}
