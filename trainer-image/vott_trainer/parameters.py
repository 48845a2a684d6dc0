"""A message's parameters against what the plugin takes, with errors a labeller understands."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vott_trainer.errors import InvalidParametersError
from vott_trainer.http.printable import printable


def validate(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """Return `values` as an instance of `model`.

    Raises:
        InvalidParametersError: names each wrong parameter, what is wrong with it, and those that exist.
    """
    try:
        return model.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = "; ".join(_explain(details) for details in error.errors(include_url=False))
        raise InvalidParametersError(f"{wrong}. Known parameters: {', '.join(names(model))}.") from error


def shown(parameters: BaseModel) -> dict[str, Any]:
    """Return parameters as JSON for logs and reports: as the message names them, URLs without their query."""
    fit: dict[str, Any] = printable(parameters.model_dump(mode="json", by_alias=True))
    return fit


def names(model: type[BaseModel]) -> list[str]:
    """Return the names that a message uses for the parameters."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _explain(details: ErrorDetails) -> str:
    name = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"there is no parameter {name!r}"
    said = details["msg"].removeprefix("Value error, ")  # pydantic's words before a validator's own
    sentence = said[:1].lower() + said[1:]
    return f"parameter {name!r}: {sentence}, found {repr(details['input'])[:60]}"
