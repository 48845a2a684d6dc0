"""Base classes for the parameters that a message may set."""

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from vott_trainer.annotations.image_urls import is_folder
from vott_trainer.annotations.model import Annotations, Format


class Parameters(BaseModel):
    """Base of a plugin's parameters: camelCase in the message, unknown names refused, no silent conversion."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParameters(Parameters):
    """Parameters of every plugin that reads annotations."""

    annotation_format: Format = Field(
        default="auto", description="The format of the annotation file; `auto` detects all but `corners`."
    )
    images_url: str | None = Field(
        default=None,
        max_length=2000,
        description="The base folder of relative image paths: a URL, or a path relative to the annotation file's folder.",
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
                "must be an http(s) URL or a path relative to the annotation file's folder, without user name and query "
                "(images on the annotations' host are fetched with the query of the annotations' URL)"
            )
        return url
