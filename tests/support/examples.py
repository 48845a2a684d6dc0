"""Example data for the operator's tests: a valid message, a reported model, and a trainer's permanent error."""

from typing import Any

MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models"}
REPORTED_MODEL = {"url": "https://store/models/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}
BAD_ANNOTATIONS = {
    "reason": "BadAnnotations",
    "message": "a.csv line 7: expected 6 fields, found 4. Correct the line.",
}


def message(**fields: Any) -> dict[str, Any]:
    """A valid message; `fields` replace or extend its fields."""
    return MESSAGE | fields
