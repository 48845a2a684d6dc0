"""`vott_trainer predict`: a trained model's predictions for one image, printed and drawn (docs/results.md)."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from vott_trainer import plugins
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.errors import UsageError
from vott_trainer.plugin_api import Prediction
from vott_trainer.plugin_api.thresholds import MIN_SCORE_SHOWN
from vott_trainer.settings import PredictSettings
from vott_trainer.stores import model_archive
from vott_trainer.vision.coco_predictions import coco_document
from vott_trainer.vision.drawing import draw


def predict(settings: PredictSettings) -> list[Prediction]:
    """Print one line per object, or per class of the whole image, best first; also draw and write them, if `settings` ask for it.

    Raises:
        UsageError: the model or the image can't be read, or the result can't be written.
    """
    image = _open(settings.image)
    with _unpacked(settings.model) as model_dir:
        config = _config(model_dir, settings.model)
        found = plugins.load(str(config["plugin"])).predict(model_dir, settings.image)
    predictions = [one for one in found if one.score >= _lowest_score(one, settings.score, config.get("thresholds"))]
    for prediction in predictions:
        print(_line(prediction))
    if not predictions:
        print("nothing found")
    if settings.out:
        _save(draw(image, predictions), settings.out)
    if settings.json:
        _write(coco_document(settings.image.name, image.size, predictions), settings.json)
    return predictions


@contextlib.contextmanager
def _unpacked(model: Path) -> Iterator[Path]:
    """Yield the folder with the model's files; an archive is unpacked for it."""
    if model.is_dir():
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="vott-model-") as folder:
        model_archive.unpack(model, Path(folder))
        yield Path(folder)


def _config(model_dir: Path, model: Path) -> dict[str, Any]:
    """Read the model's `config.json`, which has at least the key `plugin`."""
    try:
        config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict) or "plugin" not in config:
        raise UsageError(f"{model} is not a model of this trainer: it has no config.json that names its plugin.")
    return config


def _lowest_score(prediction: Prediction, setting: float | None, thresholds: Any) -> float:
    """Return the lowest score shown: of an object the threshold of its class; every class of a whole image is shown.

    Earlier models and some plugins have no `thresholds`.
    """
    if setting is not None:
        return setting
    if not prediction.box:
        return 0.0
    threshold = thresholds.get(prediction.label) if isinstance(thresholds, dict) else None
    return threshold if isinstance(threshold, int | float) else MIN_SCORE_SHOWN


def _line(prediction: Prediction) -> str:
    line, box = f"{prediction.label}\t{prediction.score:.3f}", prediction.box
    return f"{line}\tx={box.x:.0f} y={box.y:.0f} width={box.width:.0f} height={box.height:.0f}" if box else line


def _open(path: Path) -> Image.Image:
    try:
        return open_rgb(path)
    except UnsupportedImageError as error:
        raise UsageError(f"{path} can't be read as an image: {error}.") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error


def _save(image: Image.Image, path: Path) -> None:
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be written: {error}.") from error


def _write(document: dict[str, Any], path: Path) -> None:
    try:
        path.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error}.") from error
