"""Validate a message's parameters against a plugin's; errors are for the labeller."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vott_trainer.errors import InvalidParametersError
from vott_trainer.http.json_redaction import redact_json

BUDGET = "budgetMinutes"


def validate(model: type[BaseModel], values: dict[str, Any], budget_minutes: float | None = None) -> BaseModel:
    """Return `values` as an instance of `model`; a known parameter that is null or an empty text is one that is not there.

    Args:
        budget_minutes: the administrator's default of this parameter, for plugins that have it.

    Raises:
        InvalidParametersError: names each invalid parameter with its problem, and all parameters there are.
    """
    values = {name: value for name, value in values.items() if not (_is_empty(value) and name in names(model))}
    if budget_minutes and BUDGET in names(model):
        values = {BUDGET: budget_minutes, **values}
    try:
        return model.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = "; ".join(_explain(details) for details in error.errors(include_url=False))
        raise InvalidParametersError(f"{problems}. Known parameters: {', '.join(names(model))}.") from error


def shown(parameters: BaseModel) -> dict[str, Any]:
    """Return parameters for logs and reports: named as in the message, URLs without their query."""
    redacted: dict[str, Any] = redact_json(parameters.model_dump(mode="json", by_alias=True))
    return redacted


def names(model: type[BaseModel]) -> list[str]:
    """Return the parameters' names in a message."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _explain(details: ErrorDetails) -> str:
    name = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"there is no parameter {name!r}"
    problem = details["msg"].removeprefix("Value error, ")  # pydantic's prefix for a validator's text
    return f"parameter {name!r}: {problem[:1].lower() + problem[1:]}, found {repr(details['input'])[:60]}"
