"""File names and identities of URLs, and URLs in arguments."""

import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from vott_guard.redaction import redact
from vott_trainer.command_line import parse
from vott_trainer.errors import InvalidURLError
from vott_trainer.http.urls import file_name, read_argument, unsigned_url
from vott_trainer.logs import UTCFormatter


def test_credentials_of_the_environment_are_redacted() -> None:
    connection = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0c2VjcmV0+/==;EndpointSuffix=x"
    environment = {"AZURE_STORAGE_CONNECTION_STRING": connection, "AWS_SECRET_ACCESS_KEY": "awssecretkey"}
    parse(["--annotations", "https://store/a", "--model", "https://store/c?sig=x"], environment)
    assert redact(connection).startswith("DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=***;")
    assert redact("awssecretkey") == "***"


def test_log_line_with_a_traceback_shows_no_query() -> None:
    try:
        raise ValueError("https://store/a.jpg?sig=SECRET")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "failed: %s", (error,), (ValueError, error, error.__traceback__)
        )
    assert "SECRET" not in UTCFormatter("%(message)s").format(record)


def test_argument_names_a_file_that_holds_the_url(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("https://store/c?sig=x\n", encoding="utf-8")
    assert read_argument("model", f"@{tmp_path}/model") == "https://store/c?sig=x"


@pytest.mark.parametrize("value", ["ftp://host/a", "a.csv", "https://", "http://host:x/", "", "https://[::1/a"])
def test_argument_that_is_not_an_http_url_is_refused(value: str) -> None:
    with pytest.raises(InvalidURLError, match=r"--model: expected a URL that starts with http:// or https://"):
        read_argument("model", value)


@pytest.mark.parametrize("url", ["https://store/Cats-#2-export.csv?sig=SECRET", "https://store/a.csv#SECRET"])
def test_url_that_ends_at_a_number_sign_is_refused(url: str) -> None:
    with pytest.raises(
        InvalidURLError, match=r"--annotations: the URL 'https://store/.*' ends at a #\. Percent-enc"
    ) as error:
        read_argument("annotations", url)
    assert "SECRET" not in str(error.value)


def test_error_names_a_missing_url_file() -> None:
    with pytest.raises(
        InvalidURLError, match=r"--model: the file /nowhere/model that should hold the URL can't be read"
    ):
        read_argument("model", "@/nowhere/model")


@pytest.mark.parametrize("query", ["sig=SECRET", "x=a b&sig=SECRET"])
def test_refused_argument_shows_no_query(query: str) -> None:
    with pytest.raises(InvalidURLError) as error:
        read_argument("model", f"ftp://host/a?{query}")
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "name"), [("https://h/x/a%20b.csv?sig=x", "a b.csv"), ("https://h/", "h"), ("https://h", "h")]
)
def test_file_name_is_the_last_part_of_the_path(url: str, name: str) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize("character", ["\n", "\x1b", "\u202e", "\u2028", "\x85"])
@pytest.mark.parametrize("encoded", [False, True])
def test_file_name_can_not_control_a_terminal(character: str, encoded: bool) -> None:
    name = file_name(f"https://h/a{quote(character) if encoded else character}b.csv")
    assert name.isprintable()
    assert name.startswith("a")
    assert name.endswith("b.csv")


def test_host_is_named_without_user_information() -> None:
    assert file_name("https://me:SECRET@h/") == "h"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://h/c/a.jpg?sv=2024&st=1&se=2&sr=b&sp=r&spr=https&sig=x", "https://h/c/a.jpg"),
        ("https://h/c/a.jpg?skoid=1&sktid=2&skt=3&ske=4&sks=b&skv=5&sig=x", "https://h/c/a.jpg"),
        ("https://h/a.jpg?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c", "https://h/a.jpg"),
        ("https://h/a.jpg?AWSAccessKeyId=a&Expires=1&Signature=c", "https://h/a.jpg"),
        ("https://me:secret@h/a.jpg#x", "https://h/a.jpg"),
        ("https://h/image?id=5", "https://h/image?id=5"),
        ("https://h/image?id=5&sig=x", "https://h/image?id=5&sig=x"),
        ("https://h/image?sr=5", "https://h/image?sr=5"),
        ("https://h/image?token=x", "https://h/image?token=x"),
    ],
)
def test_only_a_signature_is_removed_from_the_identity(url: str, identity: str) -> None:
    assert unsigned_url(url) == identity
