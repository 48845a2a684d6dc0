"""The header Retry-After."""

import pytest

from vott_guard.retry_after import retry_after_seconds

NOW = 1445412420.0  # Wed, 21 Oct 2015 07:27:00 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 3600.0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("7200", 3600.0),
        ("9" * 400, 3600.0),
    ],
)
def test_seconds_and_dates_are_read_and_bounded(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, 3600.0, lambda: NOW) == seconds
