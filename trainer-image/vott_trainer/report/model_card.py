"""README.md: a short model card (Mitchell et al., 2019, arXiv:1810.03993)."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vott_trainer.report import formatting, tables, wording
from vott_trainer.report.calibration import meaning_of_scores
from vott_trainer.report.result import Result

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def write_card(path: Path, result: Result) -> None:
    """Write the model card, beside the model's files."""
    environment = Environment(
        loader=PackageLoader("vott_trainer.report"),
        autoescape=False,  # noqa: S701 # nosec B701 # Markdown: `finalize` escapes
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": formatting.duration,
        "shown": formatting.shown,
        "spaced": formatting.spaced,
    }
    path.write_text(environment.get_template("model_card.md.j2").render(_content(path, result)), encoding="utf-8")


def escape(value: Any) -> str:
    """Escape text for Markdown, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def _content(path: Path, result: Result) -> dict[str, Any]:
    return {
        "result": result,
        "heading": wording.heading(result),
        "summary": wording.summary(result),
        "caveat": wording.caveat(result.evaluation) if result.evaluation else "",
        "headline": tables.headline(result),
        "classes": tables.classes(result.evaluation),
        "folds": tables.folds(result.evaluation),
        "data": tables.data(result.counts),
        "settings": tables.settings(result),
        "thresholds": bool(result.evaluation and result.evaluation.thresholds),
        "onnx": (path.parent / "model.onnx").exists(),
        "scores": meaning_of_scores(result.evaluation.reliability) if result.evaluation else "",
        "predicts": result.evaluation is not None,
    }
