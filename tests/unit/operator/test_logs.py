"""The operator's log: its two formats, and what libraries repeat."""

import json
import logging
from collections.abc import Iterator

import pytest

from tests.support.observed_state import settings
from vott_guard.log_format import fields
from vott_operator import logs


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """Restore the root logger."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def log_all() -> None:
    logging.getLogger("vott_operator.x").info("Job created", extra=fields(trainingJob="team-a/cats"))
    for attempt in range(1, 4):
        logging.getLogger("kopf._cogs.clients.api").error("Request attempt #%d failed; will retry", attempt)
    for _ in range(2):
        logging.getLogger("vott_operator.x").warning("again")


def test_the_console_has_lines_for_people_and_no_repetition_of_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings())
    log_all()
    own, library, *again = capsys.readouterr().out.splitlines()
    assert own.endswith("INFO    vott_operator.x: Job created trainingJob=team-a/cats")
    assert library.endswith("Request attempt #1 failed; will retry")
    assert len(again) == 2


def test_json_has_an_object_for_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings(logFormat="json"))
    log_all()
    own, *_ = map(json.loads, capsys.readouterr().out.splitlines())
    assert (own["level"], own["message"], own["trainingJob"]) == ("INFO", "Job created", "team-a/cats")
