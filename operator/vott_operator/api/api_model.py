"""Base class of the API's types."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A type of the Kubernetes API: camelCase in JSON; unknown fields are ignored, because the API server prunes them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def to_api(self) -> dict[str, Any]:
        """The JSON form, without fields that were not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
