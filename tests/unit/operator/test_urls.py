"""How URLs are shown."""

import pytest

from vott_operator.api.urls import has_credentials, without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/p?sig=S", "https://h/p"),
        ("https://h/p#S", "https://h/p"),
        ("https://u:S@h:8080/p", "https://h:8080/p"),
        ("https://[::1", "(unreadable URL)"),
        ("https://h/p", "https://h/p"),
    ],
)
def test_only_the_path_is_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize("url", ["https://h/p?sig=S", "https://h/p?x", "https://u:S@h/p"])
def test_a_query_or_user_may_be_a_credential(url: str) -> None:
    assert has_credentials(url)


@pytest.mark.parametrize("url", ["https://h", "https://h/p", "http://h:81/p/q.csv"])
def test_a_plain_url_has_none(url: str) -> None:
    assert not has_credentials(url)
