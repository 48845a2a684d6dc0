"""The demo's callback receiver, over real HTTP."""

from collections.abc import Iterator

import pytest
import requests

from demo.callbacks import CallbackReceiver


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver("127.0.0.1") as running:
        yield running


def test_posts_are_recorded_in_order(receiver: CallbackReceiver) -> None:
    for progress in (0.1, 0.5, 1.0):
        assert requests.post(receiver.url, json={"progress": progress}, timeout=5).status_code == 204
    assert [post["progress"] for post in receiver.posts] == [0.1, 0.5, 1.0]


def test_last_state_is_that_of_the_latest_post(receiver: CallbackReceiver) -> None:
    assert receiver.last_state is None
    requests.post(receiver.url, json={"state": "running"}, timeout=5)
    requests.post(receiver.url, json={"state": "succeeded"}, timeout=5)
    assert receiver.last_state == "succeeded"


def test_a_post_to_another_path_is_not_recorded(receiver: CallbackReceiver) -> None:
    assert requests.post(f"{receiver.url}x", json={}, timeout=5).status_code == 404
    assert receiver.posts == []


@pytest.mark.parametrize("body", ["{", "[]", "1"])
def test_a_post_without_a_json_object_is_rejected(receiver: CallbackReceiver, body: str) -> None:
    assert requests.post(receiver.url, data=body, timeout=5).status_code == 400
    assert receiver.posts == []


def test_the_address_of_another_host_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        CallbackReceiver("192.0.2.1")  # RFC 5737: an address for documentation
