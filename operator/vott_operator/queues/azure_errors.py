"""Azure's exceptions as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError

from ..errors import SourceUnavailableError


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Raise Azure's errors as SourceUnavailableError; `place` names the queue."""
    try:
        yield
    except AzureError as error:
        raise SourceUnavailableError(f"{place}: {first_line(error)}") from None


def first_line(error: AzureError) -> str:
    """The error's own words, without the request ids and hints on further lines."""
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
