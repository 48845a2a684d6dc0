"""Output and arguments of `vott-train queue`."""

import base64
import json
from pathlib import Path

import click
import pytest

from tests.support.cpu_limit import call_with_repeated_input
from vott_guard.redaction import redact
from vott_messaging import reasons
from vott_messaging.queues.base import DeadLetter
from vott_messaging.settings.queue import QueueSettings
from vott_operator.queue_commands.rendering import (
    QueueLine,
    decode_body,
    displayed_body,
    letters_json,
    letters_table,
    queue_table,
)
from vott_operator.queue_commands.selection import label, select_queue

SECRET = "c2VjcmV0"
SAS = f"https://store.blob.core.windows.net/models?sv=2024-11-04&sig={SECRET}"
LETTER = DeadLetter(
    "5f3b", "m-1", f'{{"model": "{SAS}"}}', "InvalidMessage", "It is wrong.", "2026-01-01T00:00:00+00:00"
)


# ----------------------------------------------------------------------------------------------------------- redaction


@pytest.mark.parametrize(
    "body",
    [
        f'{{"model": "{SAS}"}}',
        f'{{"model": "{SAS}"',  # cut off
        f"{{'model': '{SAS}'}}",
        SAS,
        f"model={SAS} and more",
        f'{{"model": "https:\\/\\/store\\/models\\u003fsig={SECRET}"}}',
        f'{{"model": "https://store/models?s\\u0069g={SECRET}"}}',
        f'{{"model": "\\u0068ttps://store/models\\u003fkey={SECRET}"}}',
        f'{{"model": "https://store/models?a=b c={SECRET}"}}',
        f'{{"model": "https://store/models#access_token={SECRET}"}}',
        f'{{"model": "https://store/models?a=\\"{SECRET}"}}',
        f'{{"model": "https://me:{SECRET}@store/models"}}',
        json.dumps({"inner": json.dumps({"model": SAS})}),
        f'"a stray quote {{"model": "{SAS}"}}',
        f"https://bucket.s3.amazonaws.com/m?X-Amz-Signature={SECRET}",
        f"store/models?sv=1&sig={SECRET}",
        f"sv=2024-11-04&sig={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
        f"Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey={SECRET}",
        base64.b64encode(f'{{"model": "{SAS}"}}'.encode()).decode(),
        base64.b64encode(f'{{"model": "{SAS}"}}'.encode()).decode().rstrip("="),
        base64.encodebytes(f'{{"model": "{SAS}", "x": "{"x" * 100}"}}'.encode()).decode(),
        base64.urlsafe_b64encode(f'{{"model": "{SAS}", "x": "???>>>"}}'.encode()).decode(),
        base64.b64encode(f'{{"model": "{SAS}"}}'.encode("utf-16")).decode(),
        base64.b64encode(base64.b64encode(f'{{"model": "{SAS}"}}'.encode())).decode(),
        f'{{"model": "{SAS}"}}'.encode("utf-16-le").decode(),
        f"{{&quot;model&quot;:&quot;{SAS.replace('&', '&amp;')}&quot;}}",
        f"{{&#34;model&#34;:&#34;{SAS.replace('&', '&#38;').replace('?', '&#63;')}&#34;}}",
        f'{{"model": "{SAS.replace("&", "&amp;")}&amp;{SAS}',
    ],
)
def test_credentials_are_redacted_in_every_form(body: str) -> None:
    output = letters_table([_letter(body)], show_secrets=False)

    assert SECRET not in output
    assert SECRET not in output.replace("\\x00", "")
    assert base64.b64encode(SAS.encode()).decode()[4:-4] not in output


@pytest.mark.parametrize(
    "body",
    [
        '{"annotations": "https://host/a.csv", "parameters": {"epochs": 3, "rate": 1e-3}, "a": 1, "a": 2}',
        '{"status": "https://host/callback"',
        "hello, is this JSON? No.",
        "",
    ],
)
def test_a_body_without_credentials_is_shown_unchanged(body: str) -> None:
    assert redact(decode_body(body)) == body


@pytest.mark.parametrize(
    ("callback", "shown"),
    [
        ('"status": "https://hooks.example/services/T/SECRET"', '"status": "https://hooks.example/…"'),
        ('"STATUS":"https:\\/\\/hooks.example\\/SECRET\\"SECRET"', '"STATUS":"https:\\/\\/hooks.example/…"'),
        ('"status": "https://hooks.example?SECRET"', '"status": "https://hooks.example/…"'),
        ('"status": "https://hooks.example/SECRET', '"status": "https://hooks.example/…'),
        ('"status": "https://hooks.example"', '"status": "https://hooks.example"'),
    ],
)
def test_of_a_callback_only_the_host_is_shown(callback: str, shown: str) -> None:
    assert displayed_body("{" + callback, show_secrets=False) == "{" + shown


def test_a_long_body_is_redacted_in_little_time() -> None:
    parts = ['"\\', '"', "\\", '\\"a', "://", "?", "sig ", "sig = ", "%3f", " https", "a@"]
    done = call_with_repeated_input("from vott_guard.redaction import redact", "redact", *parts)

    assert done.returncode == 0, done.stdout


def test_base64_is_decoded_because_encoded_it_hides_nothing() -> None:
    body = '{"annotations": "https://host/a.csv"}'

    assert decode_body(base64.b64encode(body.encode()).decode()) == body


# ----------------------------------------------------------------------------------------------------------- rendering


def test_the_table_of_queues_is_aligned() -> None:
    lines = [
        QueueLine("training", "storage", "12", "3"),
        QueueLine("bus", "serviceBus", error="queue bus: no answer"),
    ]

    assert queue_table(lines).splitlines() == [
        "QUEUE     KIND        WAITING  DEAD-LETTERED",
        "training  storage     12       3",
        "bus       serviceBus  -        -              queue bus: no answer",
    ]


def test_a_message_is_shown_with_its_reason_explanation_and_body() -> None:
    assert letters_table([LETTER], show_secrets=False).splitlines() == [
        "ID    TIME                       REASON",
        "5f3b  2026-01-01T00:00:00+00:00  InvalidMessage",
        "  It is wrong.",
        '  {"model": "https://store.blob.core.windows.net/models?…"}',
    ]


def test_control_characters_in_a_body_are_escaped() -> None:
    assert "\x1b" not in letters_table([_letter("\x1b[2Jgone")], show_secrets=True)


def test_a_long_body_is_truncated_in_the_table_and_complete_in_json() -> None:
    long = "x y " * 10_000

    assert "36000 more characters" in letters_table([_letter(long)], show_secrets=False)
    assert json.loads(letters_json([_letter(long)], show_secrets=False))[0]["body"] == long


def test_json_has_the_unchanged_body_with_show_secrets() -> None:
    encoded = base64.b64encode(LETTER.body.encode()).decode()

    assert json.loads(letters_json([_letter(encoded)], show_secrets=True))[0]["body"] == encoded


def _letter(body: str) -> DeadLetter:
    return DeadLetter("1", "m-1", body, "NotJSON", "It is not JSON.", "2026-01-01T00:00:00+00:00")


# ------------------------------------------------------------------------------------------------------- command lines

TRAINING = QueueSettings(kind="storage", name="training")
SAME_NAME = QueueSettings(kind="serviceBus", name="training")
OTHER_ACCOUNT = QueueSettings(kind="storage", name="training", account="cats")


def test_the_only_queue_need_not_be_named() -> None:
    assert select_queue(["an-id"], [TRAINING]) == (TRAINING, ["an-id"])
    assert select_queue(["training", "an-id"], [TRAINING]) == (TRAINING, ["an-id"])


def test_the_kind_distinguishes_queues_with_the_same_name() -> None:
    assert select_queue(["serviceBus/training", "7"], [TRAINING, SAME_NAME]) == (SAME_NAME, ["7"])
    with pytest.raises(click.UsageError, match=r"several queues.*storage/training, serviceBus/training"):
        select_queue(["training", "7"], [TRAINING, SAME_NAME])


def test_the_account_distinguishes_queues_of_the_same_kind_and_name() -> None:
    queues = [TRAINING, OTHER_ACCOUNT]

    assert label(OTHER_ACCOUNT, queues) == "storage/cats/training"
    assert select_queue(["storage/cats/training"], queues) == (OTHER_ACCOUNT, [])
    assert select_queue([label(TRAINING, queues)], queues) == (TRAINING, [])


def test_the_error_for_an_unknown_queue_lists_the_configured_ones() -> None:
    other = QueueSettings(kind="storage", name="other")
    with pytest.raises(click.UsageError, match=r"'trianing' is not a configured queue.*training, other"):
        select_queue(["trianing"], [TRAINING, other])


# ------------------------------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize(
    "reason",
    [
        reasons.NOT_TEXT,
        reasons.MESSAGE_TOO_LARGE,
        reasons.NOT_JSON,
        reasons.NOT_AN_OBJECT,
        reasons.INVALID_MESSAGE,
        reasons.PLUGIN_NOT_ALLOWED,
        reasons.INTERNAL_ERROR,
    ],
)
def test_every_reason_has_a_documented_remedy(reason: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "queues.md"
    assert f"| `{reason}` |" in page.read_text()
