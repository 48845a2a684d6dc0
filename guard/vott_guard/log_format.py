"""The log format of both images: every record is redacted."""

import logging

from vott_guard.redaction import redact


class RedactingFormatter(logging.Formatter):
    """Redacts whole records: messages of all libraries, and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record without credentials."""
        return redact(super().format(record))
