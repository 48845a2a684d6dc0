"""The log formats of all programs: one redacted line for each record, with the fields that say what it is about.

`log_fields` adds fields to all records of a block, also to those of libraries and of tasks that are started in it; `fields` to one record.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from vott_guard.redaction import redact

_context: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default={})  # noqa: B039 - never changed in place


@contextmanager
def log_fields(**values: object) -> Iterator[None]:
    """Add these fields to every record of the block."""
    token = _context.set({**_context.get(), **values})
    try:
        yield
    finally:
        _context.reset(token)


def fields(**values: object) -> dict[str, Any]:
    """The argument `extra` of a record with these fields."""
    return {"fields": values}


class RedactingFormatter(logging.Formatter):
    """Text for people: the fields follow the message as name=value. Redacts whole records: messages of all libraries, and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record without credentials."""
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line before a traceback."""
        return "".join([super().formatMessage(record), *(f" {name}={_text(value)}" for name, value in _all(record))])


class JsonFormatter(logging.Formatter):
    """A JSON object in one line for each record. A traceback is the field `exception`."""

    def __init__(self, **values: object) -> None:
        """`values` are the fields of every record."""
        super().__init__()
        self._values = values

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON without credentials."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= {name: value for name, value in (*self._values.items(), *_all(record)) if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: _redacted(value) for name, value in line.items()}, ensure_ascii=False)


def _all(record: logging.LogRecord) -> list[tuple[str, Any]]:
    values = {**_context.get(), **getattr(record, "fields", {})}
    return [(name, value) for name, value in values.items() if value not in (None, "")]


def _text(value: object) -> str:
    """The value as one word; in quotes if it has more, or characters that could be taken for another field or line."""
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=') else json.dumps(text)


def _redacted(value: object) -> object:
    """Numbers as they are; everything else as redacted text."""
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))
