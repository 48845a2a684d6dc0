"""Sets of parameters to compare: `NAME=JSON; NAME=JSON; …`."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import click

_NAME = re.compile(r"\s*(\w[^={}\"/]*?)\s*=\s*")
_SEPARATOR = re.compile(r"\s*;?")
EXAMPLE = 'default={}; long={"epochs": 40}'


@dataclass(frozen=True)
class Variant:
    """Parameters of the trainer, with a name for the table."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        click.UsageError: it is none.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise click.UsageError(f'Expected a JSON object such as {{"epochs": 20}}, found {text!r}.')
    return value


def parse(text: str) -> list[Variant]:
    """Parse `NAME=JSON; NAME=JSON`; without any, there is one variant, `default`.

    Raises:
        click.UsageError: the text is something else, or a name occurs twice.
    """
    found: list[Variant] = []
    rest = text.strip()
    while rest:
        name = _NAME.match(rest)
        try:
            parameters, end = json.JSONDecoder().raw_decode(rest, name.end() if name else 0)
        except ValueError:
            parameters, end = None, 0
        if not name or not isinstance(parameters, dict):
            raise click.UsageError(f"Variants: expected {EXAMPLE}, found {rest!r}.")
        found.append(Variant(name[1], parameters))
        separator = _SEPARATOR.match(rest, end)
        rest = rest[separator.end() if separator else end :].strip()
    names = [variant.name for variant in found]
    if len(set(names)) < len(names):
        raise click.UsageError(f"Variants: each name may occur once, found {', '.join(names)}.")
    return found or [Variant("default")]
