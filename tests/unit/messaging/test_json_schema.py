"""JSON Schemas of the message and of the callback's body: generated from the models, and true of both."""

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from vott_guard.callback_payload import CallbackBody, CallbackState
from vott_messaging.callbacks.payload import ProgressReport, payload
from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages import json_schema
from vott_messaging.messages.fields import NAMES
from vott_messaging.messages.message import parse_message
from vott_messaging.messages.queue_defaults import MessageDefaults

ROOT = Path(__file__).parents[3]
MESSAGE = jsonschema.Draft202012Validator(json_schema.message_schema())
CALLBACK = jsonschema.Draft202012Validator(json_schema.callback_schema())
GOOD: dict[str, Any] = {"annotations": "https://host/a.csv?sig=S", "model": "s3://bucket/models"}
WEB: dict[str, Any] = {"projectId": "p1", "requestId": 7, "url": "https://host/a.csv"}
QUEUE = MessageDefaults(model="https://store/{projectId}/{requestId}.tgz")


def is_accepted(fields: dict[str, Any]) -> bool:
    """Whether the operator makes a training of this message."""
    try:
        parse_message(json.dumps(fields).encode(), QUEUE)
    except MessageRejectedError:
        return False
    return True


@pytest.mark.parametrize("folder", ["docs", "charts/vott-train"])
@pytest.mark.parametrize("name", json_schema.NAMES)
def test_the_files_are_generated_from_the_models(folder: str, name: str) -> None:
    assert (ROOT / folder / "schemas" / f"{name}.json").read_text() == json_schema.to_json(name), "run `make generate`"


@pytest.mark.parametrize("validator", [MESSAGE, CALLBACK])
def test_a_schema_is_valid_and_describes_every_field(validator: jsonschema.Draft202012Validator) -> None:
    validator.check_schema(validator.schema)
    assert all(field["description"] for field in validator.schema["properties"].values())


def test_the_schema_has_all_fields_of_the_message() -> None:
    assert set(MESSAGE.schema["properties"]) == {*NAMES, "traceparent"}  # the trace is no content


@pytest.mark.parametrize(
    "fields",
    [
        GOOD,
        GOOD | {"status": "http://host/s", "plugin": "hello-world", "parameters": {"epochs": 3, "nested": {"a": [1]}}},
        GOOD | {"plugin_name": "detection", "createdAt": "today", "status": None, "plugin": None},
        WEB,
        WEB | {"model": "https://store/m"},
    ],
)
def test_a_documented_message_matches_the_schema_and_is_accepted(fields: dict[str, Any]) -> None:
    MESSAGE.validate(fields)
    assert is_accepted(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "https://store/m"},
        GOOD | {"annotations": "gs://bucket/a.csv"},
        GOOD | {"annotations": 5},
        GOOD | {"model": "ftp://host/m"},
        GOOD | {"model": "https://host/" + "a" * 9000},
        GOOD | {"status": "example.org"},
        GOOD | {"plugin": "../x"},
        GOOD | {"plugin_name": "x" * 64},
        GOOD | {"parameters": [1]},
        WEB | {"projectId": ""},
        WEB | {"requestId": 1.5},
        WEB | {"requestId": "x" * 129},
        WEB | {"url": "no URL"},
    ],
)
def test_what_the_schema_refuses_is_rejected(fields: dict[str, Any]) -> None:
    assert not MESSAGE.is_valid(fields)
    assert not is_accepted(fields)


REPORT = ProgressReport(
    percent=42, epoch_current=3, epoch_total=10, step_current=7, step_total=25, classification_loss=0.5
)


@pytest.mark.parametrize("report", [None, REPORT])
@pytest.mark.parametrize("state", get_args(CallbackState))
def test_every_callback_matches_the_schema(state: CallbackState, report: ProgressReport | None) -> None:
    body = payload("cats", state, "Why.", report)
    CALLBACK.validate(body)
    assert list(body) == list(CALLBACK.schema["properties"]) == CALLBACK.schema["required"]


@pytest.mark.parametrize("change", [{"state": "done"}, {"progress": 42}, {"step_total": None}, {"job": 1}])
def test_the_schema_of_the_callback_refuses_another_body(change: dict[str, Any]) -> None:
    body = CallbackBody(job="cats", state="running", message="Training").to_json()
    assert CALLBACK.is_valid(body)
    assert not CALLBACK.is_valid(body | change)
