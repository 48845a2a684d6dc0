"""README.md: the model card (Mitchell et al., 2019, arXiv:1810.03993), in short."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vott_trainer.report import figures, words
from vott_trainer.report.result import Result

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def write_card(path: Path, result: Result) -> None:
    """Write the model card of `result`; the files of the model lie beside it."""
    environment = Environment(
        loader=PackageLoader("vott_trainer.report"),
        autoescape=False,  # noqa: S701 # nosec B701 # Markdown: `finalize` escapes
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": words.duration, "shown": words.shown, "spaced": words.spaced}
    path.write_text(environment.get_template("card.md.j2").render(_content(path, result)), encoding="utf-8")


def escape(value: Any) -> str:
    """Return text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def _content(path: Path, result: Result) -> dict[str, Any]:
    return {
        "result": result,
        "heading": words.heading(result),
        "summary": words.summary(result),
        "caveat": words.caveat(result.evaluation) if result.evaluation else "",
        "headline": figures.headline(result.metrics),
        "classes": figures.classes(result.evaluation),
        "amounts": figures.amounts(result.counts),
        "settings": words.settings(result),
        "boxes": words.measures_boxes(result.evaluation),
        "onnx": (path.parent / "model.onnx").exists(),
        "predicts": result.evaluation is not None,
    }
