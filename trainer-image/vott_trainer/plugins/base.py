"""What a plugin is, and what it is given. docs/plugins.md tells it with an example."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from vott_trainer.annotations import Annotations, Box
from vott_trainer.evaluation import Evaluation, Prediction
from vott_trainer.findings import Finding
from vott_trainer.progress import Progress
from vott_trainer.ranks import Ranks


class Parameters(BaseModel):
    """Base of a plugin's parameters: camelCase in the message, unknown names refused, nothing converted silently."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParameters(Parameters):
    """What every plugin that reads the annotated images lets a message set."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image that lies on disk, checked and decodable, with its boxes, or with the class of the whole image."""

    url: str
    path: Path
    boxes: list[Box]
    label: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The images that came, in the annotation file's order; the sorted labels; and what was left out or is worth knowing."""

    images: list[LabelledImage]
    labels: list[str]
    findings: list[Finding] = field(default_factory=list)


class Run(Protocol):
    """One training, as the plugin sees it."""

    @property
    def progress(self) -> Progress:
        """Where to say how far the training is."""

    @property
    def ranks(self) -> Ranks:
        """Which of how many processes this is; a plugin that is not `distributed` sees only itself."""

    @property
    def model_dir(self) -> Path:
        """An empty folder; what lies there when `train` returns is packed into `model.tgz`. Only rank 0's counts."""

    def annotations(self) -> Annotations:
        """Return the annotation file, fetched and checked."""

    def dataset(self) -> Dataset:
        """Return the annotated images, fetched and checked, as the message's parameters say."""

    def fetch(self, url: str, name: str) -> Path:
        """Download a file that is not one of the images, once for each node; `name` is what to call it in the work folder."""


@dataclass(frozen=True)
class Trained:
    """What a training found: named metrics (reported everywhere), details for `metrics.json` (any JSON),

    and in `config` what `predict` needs to load the model again, for `config.json`.
    """

    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Plugin(Protocol):
    """One kind of training. Made without arguments; anything it raises that is no TrainerError counts as its own fault.

    With several GPUs a plugin whose class says `distributed = True` trains in one process for each GPU, torch.distributed
    ready to use; any other one only in rank 0, as if there were no other process.
    """

    parameters: type[BaseModel]

    def train(self, run: Run, parameters: Any) -> Trained:
        """Train and leave the model's files in `run.model_dir`; `parameters` is a valid instance of `self.parameters`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return what the model of an unpacked archive sees on an image, best first."""
