"""No credential in the trainer's log, in what plugins print, or in the error that ends a training."""

import io
import json
import logging
from collections.abc import Callable

import pytest

from vott_guard.redaction import register_secrets
from vott_trainer import logs, report
from vott_trainer.errors import InvalidParametersError, describe, first_line
from vott_trainer.logs import RedactingStream, UTCFormatter
from vott_trainer.process.ranks import Ranks

TEXTS = [
    "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=SECRET;EndpointSuffix=core.windows.net",
    "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=SECRET",
    "BlobEndpoint=https://acme.blob.core.windows.net/;SharedAccessSignature=sv=2024-11-04&sig=SECRET",
    "{'conn_str': 'AccountName=acme;AccountKey=SECRET'}",
    '{"conn_str": "AccountName=acme;AccountKey\\u003dSECRET"}',
    "sv=2024-11-04&sr=c&sp=r&sig=SECRET",
    "https://store/a.csv?sv=2024-11-04&sig=SECRET",
]
"""None of these is registered as a secret: they are a plugin's own, or a library quotes them."""


@pytest.mark.parametrize("text", TEXTS)
def test_the_log_shows_no_key_of_a_connection_string(text: str) -> None:
    try:
        raise ValueError(f"malformed: {text}")
    except ValueError as error:
        exception = (ValueError, error, error.__traceback__)
        record = logging.LogRecord("azure", logging.ERROR, "file", 1, "failed: %s", (text,), exception)
    line = UTCFormatter("%(message)s").format(record)
    assert "failed: " in line
    assert "malformed: " in line
    assert "SECRET" not in line


@pytest.mark.parametrize("text", TEXTS)
def test_a_plugin_prints_no_key_of_a_connection_string(text: str) -> None:
    output = io.StringIO()
    print("connecting to", text, "now", file=RedactingStream(output), flush=True)
    assert "connecting to" in output.getvalue()
    assert "SECRET" not in output.getvalue()


@pytest.mark.parametrize("kind", [InvalidParametersError, ValueError])
@pytest.mark.parametrize("text", TEXTS)
def test_the_error_of_a_training_shows_no_key_of_a_connection_string(text: str, kind: type[Exception]) -> None:
    explained = describe(kind(f"The store refused {text}"))
    assert "The store refused" in explained
    assert "SECRET" not in explained


@pytest.mark.parametrize("shortened", [first_line, lambda error: report.not_written("report.html", error)])
@pytest.mark.parametrize("length", range(0, 310, 10))
def test_no_part_of_a_secret_is_left_by_shortening(shortened: Callable[[Exception], str], length: int) -> None:
    register_secrets("half-of-a-secret-is-too-much")
    assert "half" not in shortened(OSError(f"{'x' * length} half-of-a-secret-is-too-much"))


@pytest.mark.parametrize("text", TEXTS)
def test_the_log_as_json_shows_no_key_and_stays_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.StringIO()
    monkeypatch.setattr("sys.stdout", RedactingStream(raw))
    monkeypatch.setenv("VOTT_LOG_FORMAT", "json")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(Ranks(rank=1, world_size=2))
    try:
        logging.getLogger("azure").error("failed: %s", text)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    line = json.loads(raw.getvalue())
    assert (line["level"], line["rank"], line["message"][:8]) == ("ERROR", 1, "failed: ")
    assert "SECRET" not in raw.getvalue()
