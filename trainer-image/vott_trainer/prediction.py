"""`vott_trainer predict`: what a trained model sees on one image, printed and drawn."""

import json
import tempfile
from pathlib import Path

from PIL import Image

from vott_trainer import archive, plugins
from vott_trainer.errors import UsageError
from vott_trainer.images import open_rgb
from vott_trainer.plugins.base import Prediction
from vott_trainer.settings import PredictSettings
from vott_trainer.vision.drawing import draw


def predict(settings: PredictSettings) -> list[Prediction]:
    """Print one line an object, best first, and write the image with the boxes drawn.

    Raises:
        UsageError: the archive or the image can't be read, or the result can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="vott-model-") as folder:
        model_dir = Path(folder)
        archive.unpack(settings.model, model_dir)
        image = _open(settings.image)
        predictions = plugins.load(_plugin_name(model_dir, settings.model)).predict(model_dir, settings.image)
    for prediction in predictions:
        print(_line(prediction))
    if not predictions:
        print("nothing found")
    _save(draw(image, predictions), settings.out)
    return predictions


def _plugin_name(model_dir: Path, model: Path) -> str:
    try:
        return str(json.loads((model_dir / "config.json").read_text(encoding="utf-8"))["plugin"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{model} is not a model of this trainer: it has no config.json that names its plugin."
        ) from error


def _line(prediction: Prediction) -> str:
    box = prediction.box
    return f"{box.label}\t{prediction.score:.3f}\tx={box.x:.0f} y={box.y:.0f} width={box.width:.0f} height={box.height:.0f}"


def _open(path: Path) -> Image.Image:
    try:
        return open_rgb(path)
    except OSError as error:
        raise UsageError(f"{path} can't be read as an image: {error}.") from error


def _save(image: Image.Image, path: Path) -> None:
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be written: {error}.") from error
