"""Which URLs may carry a credential."""

import pytest

from vott_operator.api.urls import has_credentials


@pytest.mark.parametrize("url", ["https://h/p?sig=S", "https://h/p?x", "https://u:S@h/p"])
def test_a_query_or_user_may_be_a_credential(url: str) -> None:
    assert has_credentials(url)


@pytest.mark.parametrize("url", ["https://h", "https://h/p", "http://h:81/p/q.csv"])
def test_a_plain_url_has_none(url: str) -> None:
    assert not has_credentials(url)
