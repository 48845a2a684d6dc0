"""The common parameters that a message may set, with their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from vott_trainer.annotations.image_urls import is_folder
from vott_trainer.annotations.model import Annotations, ExifOrientation, Format

if TYPE_CHECKING:  # plugins that need no torch import this module, too
    import torch

    from vott_trainer.plugin_api.dataset import Dataset


class Parameters(BaseModel):
    """Base of a plugin's parameters: camelCase in the message, unknown names refused, no silent conversion."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParameters(Parameters):
    """Parameters of every plugin that reads annotations.

    A plugin that learns outlines sets `outlines`: otherwise objects have only their boxes, and the report says so.
    """

    outlines: ClassVar[bool] = False

    annotation_format: Format = Field(
        default="auto", description="The format of the annotation file; `auto` detects all but `corners`."
    )
    images_url: str | None = Field(
        default=None,
        description="The base folder of relative image paths: a URL, or a path relative to the annotation file's folder.",
    )
    exif_orientation: ExifOrientation | None = Field(
        default=None,
        description="Whether boxes were drawn on photos with their EXIF orientation `applied`, as browsers show them, or `ignored`, as VoTT's desktop"
        " program does. Default: found out from the photos that tell.",
    )

    def check(self, annotations: Annotations) -> None:
        """Refuse annotations that these parameters can't work with, before any image is fetched.

        Raises:
            BadAnnotationsError: names what was expected instead.
        """

    @field_validator("images_url")
    @classmethod
    def _is_folder(cls, url: str | None) -> str | None:
        """Parameters are not secret: anyone who may read TrainingJobs sees them."""
        if url is not None and not is_folder(url):
            raise ValueError(
                "must be an http(s) URL or a path relative to the annotation file's folder, without user name, query and # "
                "(images on the annotations' host are fetched with the query of the annotations' URL)"
            )
        return url


class LearningParameters(DataParameters):
    """Parameters of every learner."""

    epochs: int | None = Field(default=20, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int | None = Field(
        default=8, ge=1, le=4096, description="Images per step over all GPUs, rounded up to a multiple of their number."
    )
    learning_rate: float | None = Field(default=1e-3, gt=0, le=1, description="The peak learning rate.")
    holdout_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the images held out to measure the model."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed and data give the same model.")
    initial_weights: str | None = Field(
        default=None,
        description="What training starts from: `baked` (the image's weights for the architecture), `none` (random weights), or"
        " the URL of an earlier model of this trainer (model.tgz or model.safetensors). Default: baked if the image has some, else none.",
    )
    budget_minutes: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Minutes of training at most; the learning rate is lowered in time. Default: the administrator's.",
    )
    early_stopping: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Stop after this many evaluations without improvement and deliver the best model instead of the last; 0: never."
        " Evaluates up to 20 times.",
    )
    ema_decay: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights, which becomes the model; 0 delivers the last weights.",
    )
    gradient_accumulation_steps: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Split each batch into this many parts to save memory. Doubled automatically when a GPU runs out of memory.",
    )

    @property
    def reasons(self) -> list[str]:
        """Sentences for the report: why `resolved` has chosen these parameters."""
        return []

    def resolved(self, _dataset: Dataset, _device: torch.device) -> Self:
        """Return a copy without None, chosen for the images and the device."""
        return self
