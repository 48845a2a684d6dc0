"""Redaction: what is cut from URLs, text and JSON, and what stays."""

import json
import re

import pytest

from tests.support.cpu_limit import call_with_repeated_input
from vott_guard.redaction import (
    redact,
    redact_secrets,
    redact_url,
    register_connection_string,
    register_secrets,
    register_url_credentials,
    register_webhook,
    webhook_origin,
)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("https://store/a.jpg?sv=1&sig=SECRET", "https://store/a.jpg"),
        ("https://store/a.jpg?SECRET", "https://store/a.jpg"),
        ("https://user:SECRET@store/a.jpg", "https://store/a.jpg"),
        (
            "got 403 for 'https://store/a.jpg?sig=SECRET' and /b.jpg?sig=SECRET.",
            "got 403 for 'https://store/a.jpg' and /b.jpg",
        ),
        (
            "HTTPConnectionPool: Max retries exceeded with url: /c?sig=SECRET (caused by x)",
            "HTTPConnectionPool: Max retries exceeded with url: /c (caused by x)",
        ),
        ("why? because", "why? because"),
        ("got https://store/a.jpg#token=SECRET!", "got https://store/a.jpg"),
        ("got https%3A%2F%2Fstore%2Fa%3Fsig%3DSECRET, sorry", "got https%3A%2F%2Fstore%2Fa sorry"),
        ("https%3a%2f%2fstore%2fa%3fSECRET", "https%3a%2f%2fstore%2fa"),
        ("https%3A%2F%2Fstore%2Fa%23SECRET", "https%3A%2F%2Fstore%2Fa"),
        ("https%253A%252F%252Fstore%252Fa%253Fsig%253DSECRET", "https%253A%252F%252Fstore%252Fa"),
        ("/a%3Fsig%3DSECRET", "/a"),
        ("Max retries exceeded with url: /c?SECRET (caused by x)", "Max retries exceeded with url: /c (caused by x)"),
        ("'?sig=SECRET'", "''"),
        ("/c?a=(1)&sig=SECRET", "/c"),
        ("https://store/what%3F%23.jpg is 100% C#?", "https://store/what%3F%23.jpg is 100% C#?"),
    ],
)
def test_queries_and_user_names_are_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_redaction_takes_linear_time() -> None:
    parts = ["a?", "://", "://a", "://a@b", "a", "%25", "25", "%3A%2F", "%3a%25", "?", "/?", "=", "'?="]
    done = call_with_repeated_input("from vott_guard.redaction import redact", "redact", *parts, "a? ", "://a? ")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://store/a.jpg?x=a b&sig=SECRET", "https://store/a.jpg"),
        ("https://store/a.jpg?x='\"<a>&sig=SECRET", "https://store/a.jpg"),
        ("https://store/a b.jpg?SECRET?SECRET", "https://store/a b.jpg"),
        ("https://store/a.jpg#SECRET?x", "https://store/a.jpg"),
        ("https://user:SEC RET@SECRET@store/a@b.jpg", "https://store/a@b.jpg"),
        ("https://store/a.jpg", "https://store/a.jpg"),
    ],
)
def test_one_url_is_redacted_wherever_its_query_ends(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


@pytest.mark.parametrize(
    "text",
    ["token=SE%2FCRET%2B012", "SE%2FCRET%2B012", "SE/CRET+012", "x=1&token=SE/CRET+012", "{'token': 'SE/CRET+012'}"],
)
def test_credentials_of_a_url_are_redacted_without_the_url(text: str) -> None:
    register_url_credentials("https://store/a?x=1&token=SE%2FCRET%2B012")
    assert "CRET" not in redact(f"got {text}!")
    assert redact(f"got {text}!").startswith("got ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/T/B/TOKEN?x=S#S", "https://hooks.example"),
        ("HTTPS://hooks.example:8443/services", "https://hooks.example:8443"),
        ("https://u:S@hooks.example", "https://hooks.example"),
        ("https://[::1]:80/TOKEN", "https://[::1]:80"),
        ("https://[::1/TOKEN", "(unreadable URL)"),
        ("TOKEN", "(unreadable URL)"),
    ],
)
def test_of_a_webhook_only_the_host_is_shown(url: str, shown: str) -> None:
    assert webhook_origin(url) == shown


def test_the_path_of_a_webhook_is_redacted_without_its_host() -> None:
    register_webhook("https://hooks.example/services/T%2F1/TOKEN?sig=QUERY0123")
    texts = ["https://hooks.example/services/T%2F1/TOKEN", "url: /services/T/1/TOKEN (Caused by", "sig=QUERY0123"]
    assert not re.search("TOKEN|QUERY", redact(" ".join(texts)))
    assert redact("our services") == "our services"


def test_the_keys_of_a_connection_string_are_known_without_it() -> None:
    register_connection_string("AccountName=acmecats;AccountKey=c2VjcmV0/+LONG==;EndpointSuffix=core.windows.net")
    assert redact("acmecats, core.windows.net: c2VjcmV0/+LONG==!") == "acmecats, core.windows.net: ***!"


def test_a_malformed_url_may_have_credentials_too() -> None:
    register_url_credentials("https://[::1/a?sig=MALFORMED0123")
    assert redact("got MALFORMED0123") == "got ***"


def test_a_secret_within_another_leaves_nothing_of_the_longer_one() -> None:
    register_secrets("inner-credential", "inner-credential&and-more")
    assert redact_secrets("x inner-credential&and-more inner-credential") == "x *** ***"


def test_short_texts_are_not_secrets() -> None:
    register_url_credentials("https://store/image?id=5")
    register_secrets("", "cat", "7-chars", "8-charac")
    assert redact("cat id=5 7-chars 8-charac") == "cat id=5 7-chars ***"


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://h/p?sig=S", "https://h/p"),
        ("https://h/p#S", "https://h/p"),
        ("https://u:S@h:8080/p", "https://h:8080/p"),
        ("https://[::1", "(unreadable URL)"),
        ("https://h/p", "https://h/p"),
        ("https://h/clip.mp4%3Fsv%3D1%26sig%3DS%23t%3D1.jpg", "https://h/clip.mp4"),
        ("https://h/what%3F.jpg", "https://h/what%3F.jpg"),
    ],
)
def test_only_the_path_stays(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("AccountName=a;AccountKey=SECRET;EndpointSuffix=x", "AccountName=a;AccountKey=***;EndpointSuffix=x"),
        ("Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey=SECRET", "Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey=***"),
        ("SharedAccessSignature=sv=1&sig=SECRET%3D;x", "SharedAccessSignature=***&sig=***;x"),
        ("SharedAccessSignature sr=sb%3A%2F%2Fx&sig=SECRET&se=3", "SharedAccessSignature sr=sb%3A%2F%2Fx&sig=***&se=3"),
        ("sv=2024-11-04&sig=SECRET", "sv=2024-11-04&sig=***"),
        ("sv%3D1%26sig%3DSECRET", "sv%3D1%26sig%3D***"),
        ("accountkey = SECRET, then", "accountkey=*** then"),
        ("{'conn': 'AccountKey=SECRET', 'x': 1}", "{'conn': 'AccountKey=***', 'x': 1}"),
        ('AccountKey="SECRET"', 'AccountKey="***"'),
        ("design=modern", "design=modern"),
    ],
)  # fmt: skip
def test_keys_of_a_connection_string_and_signatures_are_never_shown(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("https://store/m?a='SECRET'&b=SECRET end", "https://store/m end"),
        ("['https://store/a?SECRET', 'https://store/b?SECRET']", "['https://store/a', 'https://store/b']"),
        ("store/models?SECRET", "store/models"),
        ("models?SECRET", "models"),
        ("store/models%3FSECRET", "store/models"),
        ("https://store/models%3FSECRET", "https://store/models"),
        ("https://store/models%3Fa%3DSECRET.jpg", "https://store/models"),
        (r"https:\/\/store/models\u003fSECRET", r"https:\/\/store/models"),
        (r"https:\/\/me:SECRET@store/models", r"https:\/\/store/models"),
        ("https://me:SEC@RET@store/models", "https://store/models"),
        ("https://me:SEC#RET@store/models", "https://"),
        ("https://SECRET;sig=x@store/models", "https://store/models"),
        ("(why?) really?! Yes.", "(why?) really?! Yes."),
    ],
)
def test_too_much_is_cut_rather_than_too_little(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ("https://store/m?a=b c=SECRET", "https://store/m"),
        ("https://me:SEC RET@store/m", "https://store/m"),
        ('https://store/m?a="SECRET', "https://store/m"),
        ("s3://bucket/m#SECRET", "s3://bucket/m"),
        ("AccountKey=SECRET", "AccountKey=***"),
        (json.dumps({"inner": "https://store/m?SECRET"}), json.dumps({"inner": "https://store/m"})),
        ("plain \u202e text\n", "plain \u202e text\n"),
    ],
)
def test_json_is_redacted_string_by_string_and_stays_json(value: str, redacted: str) -> None:
    escaped = json.dumps(value).replace("s", "\\u0073")
    assert json.loads(redact(f'{{"n": 1, "x": {escaped}}}')) == {"n": 1, "x": redacted}


def test_half_a_surrogate_pair_in_json_can_still_be_printed() -> None:
    assert redact(r'{"x": "\ud800 sig=SECRET"}').encode() == rb'{"x": "\ud800 sig=***"}'


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('5" disk\nGET https://store/m?SECRET\nthe "end"', '5" disk\nGET https://store/m\nthe "end"'),
        ('5" disk\r\n\tGrößen: m?SECRET\nthe "end"', '5" disk\r\n\tGrößen: m\nthe "end"'),
        ('5" at C:\\\\new\nm?SECRET\nthe "end"', '5" at C:\\\\new\nm\nthe "end"'),
    ],
)
def test_a_single_quotation_mark_does_not_join_lines(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        '{"annotations": "https://host/a.csv", "parameters": {"epochs": 3, "rate": 1e-3}, "a": 1, "a": 2}',
        '{"status": "https://host/callback"',
        "hello, is this JSON? No.",
        "Epoch 3 of 10: loss 0.25 (best: 0.2)",
        "",
    ],
)
def test_text_without_credentials_stays_as_it_is(text: str) -> None:
    assert redact(text) == text
