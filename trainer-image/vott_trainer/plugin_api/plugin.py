"""The Plugin protocol: one kind of training. docs/plugins.md has an example."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from vott_trainer.plugin_api.evaluation import Evaluation, Prediction
from vott_trainer.plugin_api.run import Run


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes:
        metrics: reported everywhere, the most important one first.
        details: more entries for `metrics.json`, any JSON.
        config: what `predict` needs to load the model, for `config.json`.
        evaluation: the measurements for the report.
        history: one row per epoch, for the report's curves.
    """

    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Plugin(Protocol):
    """One kind of training. Instantiated without arguments; any exception but a TrainerError counts as the plugin's own error.

    Class attributes of a plugin:
        distributed: with True, and several GPUs, it trains in one process per GPU, with torch.distributed initialized.
            Otherwise it trains in rank 0 only.
        uploads: with True it uploads the model and posts the outcome to the callback by itself.

    A class without `train` is a Learner (learner.py), which leaves more to the trainer.
    """

    parameters: type[BaseModel]

    def train(self, run: Run, parameters: Any) -> Trained:
        """Train and leave the model's files in `run.model_dir`; `parameters` is a valid instance of `self.parameters`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return all predictions for an image, best first, whatever their scores; `model_dir` holds the unpacked archive."""
