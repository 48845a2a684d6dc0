"""report.html: one file for people, which needs neither network nor script."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vott_trainer.report import tables, wording
from vott_trainer.report.advice import advice
from vott_trainer.report.pictures import pictures
from vott_trainer.report.result import Result

if TYPE_CHECKING:
    from vott_trainer.report.charts import Chart

FILES = {
    "README.md": "what this model is, in short: the model card",
    "config.json": "what is needed to load the model again",
    "labels.txt": "the classes, one a line",
    "metrics.json": "all figures of this report, for programs",
    "model.onnx": "the model for ONNX Runtime and other programs than PyTorch",
    "model.safetensors": "the model's weights, for PyTorch",
    "report.html": "this report",
    "sample.jpg": "a held-out image with what the model sees on it",
    "tensorboard": "the curves for TensorBoard: tensorboard --logdir tensorboard",
}


def write_page(path: Path, result: Result) -> None:
    """Write the report of `result` to `path`; the files that lie beside it are named in it."""
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
        "percent": wording.percent,
        "duration": wording.duration,
        "shown": wording.shown,
        "spaced": wording.spaced,
        "count": wording.count,
    }
    return environment


def _content(path: Path, result: Result) -> dict[str, Any]:
    examples = result.evaluation.examples if result.evaluation else []
    wrong, right = (pictures(example for example in examples if example.right is so) for so in (False, True))
    return {
        "result": result,
        "heading": wording.heading(result),
        "grade": wording.grade(result.evaluation) if result.evaluation else "",
        "summary": wording.summary(result),
        "caveat": wording.caveat(result.evaluation) if result.evaluation else "",
        "headline": tables.headline(result.metrics),
        "advice": advice(result),
        "wrong": wrong,
        "right": right,
        "doubtful": any(picture.doubtful for picture in wrong),
        "marked": any(picture.marks for picture in (*wrong, *right)),
        "classes": tables.classes(result.evaluation),
        "matrix": tables.matrix(result.evaluation),
        "repeated": tables.repeated(result.evaluation),
        "confusions": wording.confusions(result.evaluation.confusion if result.evaluation else None)[:10],
        "charts": _charts(result),
        "amounts": tables.amounts(result.counts),
        "findings": tables.findings(result.findings),
        "settings": wording.settings(result),
        "boxes": wording.measures_boxes(result.evaluation),
        "onnx": result.details.get("onnx"),
        "files": _files(path),
    }


def _charts(result: Result) -> list["Chart"]:
    if not result.history and not result.evaluation:
        return []
    from vott_trainer.report.curves import curves  # imports matplotlib, which takes a second

    return curves(result)


def _files(report: Path) -> dict[str, str]:
    """Return name and meaning of what lies in the model's folder, the report included."""
    names = {entry.name for entry in report.parent.iterdir()} | {report.name}
    return {name: FILES.get(name, "left by the plugin") for name in sorted(names)}
