"""The demo's annotation file and storage account."""

import pytest

from demo.shapes import Box
from demo.storage import Storage, annotations_csv


def test_annotations_are_csv_without_a_header() -> None:
    rows = [("https://a/1.jpg?sig=x%2F", Box(1, 2, 3, 4, "circle")), ("https://a/1.jpg", Box(5, 6, 7, 8, "no, entry"))]
    assert annotations_csv(rows) == b'https://a/1.jpg?sig=x%2F,1,2,3,4,circle\nhttps://a/1.jpg,5,6,7,8,"no, entry"\n'


def test_a_connection_string_without_a_key_is_rejected() -> None:
    with pytest.raises(ValueError, match="no AccountKey"):
        Storage("BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=x")
