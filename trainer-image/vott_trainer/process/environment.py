"""Whole numbers from environment variables."""

from collections.abc import Mapping

from vott_trainer.errors import InvalidParametersError


def whole_number(environment: Mapping[str, str], name: str, default: int, *, minimum: int) -> int:
    """Read a whole number; unset or empty is the default.

    Raises:
        InvalidParametersError: it is not a whole number, or below `minimum`.
    """
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < minimum:
        raise InvalidParametersError(f"{name}: expected a whole number of at least {minimum}, found {text[:30]!r}.")
    return int(text)
