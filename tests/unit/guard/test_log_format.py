"""The log formats: fields, one line, redaction."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from vott_guard.log_format import JsonFormatter, RedactingFormatter, fields, log_fields

FORMATTERS = [RedactingFormatter("%(levelname)s %(message)s"), JsonFormatter()]
URL = "https://acme.blob.core.windows.net/images/cats.json?sv=2024&sig=TOPSECRET"


class Log(logging.Logger):
    """A logger of its own, with what it has written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__("vott_test")
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(formatter)
        self.addHandler(handler)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def objects(self) -> Iterator[dict[str, object]]:
        """The lines, each of which is a JSON object."""
        return map(json.loads, self.text.splitlines())


@pytest.fixture
def console() -> Log:
    return Log(RedactingFormatter("%(levelname)s %(message)s"))


@pytest.fixture
def log() -> Log:
    return Log(JsonFormatter())


def fail() -> None:
    raise ValueError(f"can't read {URL}\nat all")


def test_all_records_of_a_block_have_its_fields(console: Log) -> None:
    with log_fields(queue="storage://acme/training", messageId="1"), log_fields(trainingJob="team-a/cats"):
        console.warning("Job created", extra=fields(reason="Retrying"))
    console.warning("stopping")
    assert console.text.splitlines() == [
        "WARNING Job created queue=storage://acme/training messageId=1 trainingJob=team-a/cats reason=Retrying",
        "WARNING stopping",
    ]


def test_a_message_id_can_not_forge_a_field_or_a_line(console: Log) -> None:
    with log_fields(messageId='1" reason=Forged\nERROR forged'):
        console.warning("received")
    assert console.text == 'WARNING received messageId="1\\" reason=Forged\\nERROR forged"\n'


async def test_tasks_keep_the_fields_of_the_block_that_started_them(log: Log) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        log.warning("working")

    with log_fields(messageId="1"):
        task = asyncio.create_task(work())
    log.warning("waiting")
    await task
    assert [line.get("messageId") for line in log.objects()] == [None, "1"]


def test_json_has_one_object_a_line_also_for_a_traceback(log: Log) -> None:
    try:
        fail()
    except ValueError:
        with log_fields(trainingJob="team-a/cats"):
            log.exception("failed\nbadly", extra=fields(reason="InternalError", percent=7))
    (line,) = log.objects()
    assert line.pop("exception").startswith("Traceback")  # type: ignore[attr-defined]
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "level": "ERROR",
        "logger": "vott_test",
        "message": "failed\nbadly",
        "trainingJob": "team-a/cats",
        "reason": "InternalError",
        "percent": 7,
    }


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_messages_fields_and_tracebacks_are_redacted(formatter: logging.Formatter) -> None:
    log = Log(formatter)
    try:
        fail()
    except ValueError:
        with log_fields(queue=URL):
            log.exception("can't read %s", URL, extra=fields(url=URL))
    assert "TOPSECRET" not in log.text
    assert log.text.count("cats.json") >= 4


def test_a_field_can_not_replace_what_every_line_has(log: Log) -> None:
    log.warning("received", extra=fields(level="DEBUG", message="forged"))
    assert [(line["level"], line["message"]) for line in log.objects()] == [("WARNING", "received")]
