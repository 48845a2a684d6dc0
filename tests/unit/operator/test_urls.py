"""How URLs are shown."""

import pytest

from vott_operator.urls import has_credentials, without_credentials


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
    assert has_credentials(url) == (url != shown)
