"""What a plugin is, and what it is given. docs/plugins.md tells it with an example."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from vott_trainer.annotations import Annotations, Box, Format
from vott_trainer.annotations.findings import Finding
from vott_trainer.http.urls import is_folder
from vott_trainer.plugin_api.evaluation import Evaluation, Prediction
from vott_trainer.process.interruption import Interruption
from vott_trainer.process.ranks import Ranks
from vott_trainer.progress.snapshot import Progress
from vott_trainer.stores.checkpoints import Checkpoint, Checkpoints


class Parameters(BaseModel):
    """Base of a plugin's parameters: camelCase in the message, unknown names refused, nothing converted silently."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParameters(Parameters):
    """What every plugin that reads the annotated images lets a message set."""

    annotation_format: Format = Field(
        default="auto", description="The dialect of the annotation file; `auto` tells all of them but `corners`."
    )
    images_url: str | None = Field(
        default=None,
        max_length=2000,
        description="The folder that relative paths of images begin from, as a URL or a path from the annotation file's folder.",
    )

    def check(self, annotations: Annotations) -> None:
        """Refuse annotations that these parameters make no sense with, before an image is fetched.

        Raises:
            BadAnnotationsError: says what was expected instead.
        """

    @field_validator("images_url")
    @classmethod
    def _is_folder(cls, url: str | None) -> str | None:
        """Parameters are no secret: whoever may read TrainingJobs sees them."""
        if url is not None and not is_folder(url):
            raise ValueError(
                "must be a http(s) URL, or a path from the annotation file's folder, without user name and query "
                "(the query of the annotations' URL also serves for images of the same host)"
            )
        return url


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


@dataclass(frozen=True)
class Links:
    """The URLs of the message, in full: they carry credentials, never print them."""

    annotations: str = field(repr=False)
    model: str = field(repr=False)
    status: str | None = field(repr=False)


class Run(Protocol):
    """One training, as the plugin sees it."""

    @property
    def links(self) -> Links:
        """The message's own URLs; only a plugin that fetches and uploads by itself needs them."""

    @property
    def progress(self) -> Progress:
        """Where to say how far the training is."""

    @property
    def ranks(self) -> Ranks:
        """Which of how many processes this is; a plugin that is not `distributed` sees only itself."""

    @property
    def model_dir(self) -> Path:
        """An empty folder; what lies there when `train` returns is packed into `model.tgz`. Only rank 0's counts."""

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where to keep what the next attempt can go on from; None where the model's link and the administrator give no place."""

    @property
    def interruption(self) -> Interruption:
        """Whether SIGTERM has come. Without `defer()` it ends the process at once."""

    def checkpoint(self, work: str) -> tuple[Checkpoint, Path] | None:
        """Return the newest checkpoint of that work, fetched once for each node, and its file; None where there is none."""

    def note(self, sentence: str) -> None:
        """Say something that whoever reads the report should know."""

    def annotations(self) -> Annotations:
        """Return the annotation file, fetched and checked."""

    def dataset(self) -> Dataset:
        """Return the annotated images, fetched and checked, as the message's parameters say."""

    def fetch(self, url: str, name: str) -> Path:
        """Download a file that is not one of the images, once for each node; `name` is what to call it in the work folder."""


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    `metrics` are reported everywhere, `details` (any JSON) go into `metrics.json`, and `config` holds what `predict` needs to
    load the model again (`config.json`).
    """

    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Plugin(Protocol):
    """One kind of training. Made without arguments; anything it raises that is no TrainerError counts as its own fault.

    With several GPUs a plugin whose class says `distributed = True` trains in one process for each GPU, torch.distributed
    ready to use; any other one only in rank 0, as if there were no other process. A plugin whose class says `uploads = True` puts the
    model where the message wants it and tells the callback by itself.

    A class without `train` is a Learner (learning/learner.py), which leaves even more to the trainer.
    """

    parameters: type[BaseModel]

    def train(self, run: Run, parameters: Any) -> Trained:
        """Train and leave the model's files in `run.model_dir`; `parameters` is a valid instance of `self.parameters`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return all that the model of an unpacked archive sees on an image, best first, doubtful ones too: the command leaves those out."""
