"""Which text is a usable URL."""

from urllib.parse import urlsplit

import pytest

from vott_guard.urls import (
    HTTP,
    HTTP_OR_S3,
    MalformedURLError,
    URLError,
    URLKind,
    has_unsafe_characters,
    has_user_info,
    is_url,
    split_url,
)


@pytest.mark.parametrize(
    "url", ["https://h/p", "HTTP://h", "https://h:8080/a b.jpg?x#y", "https://[::1]/", "http://h/?a=b@c"]
)
def test_an_absolute_http_url_with_a_host_is_usable(url: str) -> None:
    assert split_url(url).hostname
    assert is_url(url)
    assert is_url(url, HTTP_OR_S3)


def test_a_bucket_is_usable_only_for_models() -> None:
    assert not is_url("s3://bucket/prefix")
    assert is_url("s3://bucket/prefix", HTTP_OR_S3)


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("ftp://h/p?SECRET", HTTP, "is not an http(s) URL but ftp:; use https://host/path"),
        ("ftp://h/p", HTTP_OR_S3, "is not an http(s) or s3 URL but ftp:; use https://host/path or s3://bucket/prefix"),
        ("SECRET", HTTP, "is not an http(s) URL; use https://host/path"),
        ("//h/p", HTTP, "is not an http(s) URL; use https://host/path"),
        ("https:///SECRET", HTTP, "names no host; use https://host/path"),
        ("s3:///SECRET", HTTP_OR_S3, "names no host; use https://host/path or s3://bucket/prefix"),
    ],
)
def test_the_error_names_cause_and_remedy_and_shows_only_the_scheme(url: str, kind: URLKind, message: str) -> None:
    with pytest.raises(URLError) as error:
        split_url(url, kind)
    assert str(error.value) == message


@pytest.mark.parametrize("url", ["https://h:x/", "https://h:99999/", "https://[::1/SECRET", "https://h℀/"])
def test_a_malformed_url_is_not_quoted(url: str) -> None:
    with pytest.raises(MalformedURLError, match=r"\Ais not a URL; use https://host/path\Z"):
        split_url(url)


@pytest.mark.parametrize(
    "url", ["https://h/\n", "https://h/\x7f", "https://h\\@evil/", " https://h/", "https://h/\u00a0"]
)
def test_characters_that_parsers_disagree_about_are_unsafe(url: str) -> None:
    assert has_unsafe_characters(url)
    assert not has_unsafe_characters("https://h/a b.jpg?x#y")


def test_user_information_stands_before_the_host() -> None:
    assert has_user_info(urlsplit("https://u@h/"))
    assert has_user_info(urlsplit("https://@h/"))
    assert not has_user_info(urlsplit("https://h/a@b?c@d"))
