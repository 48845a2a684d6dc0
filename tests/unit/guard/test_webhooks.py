"""Signatures, checked against a published example and an independent library."""

import base64
import datetime
import secrets

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from vott_guard.webhooks import Keys

BODY = b'{"progress": 1.0}'


def key() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def now() -> int:
    return int(datetime.datetime.now(datetime.UTC).timestamp())


def test_a_receiver_with_any_of_the_keys_accepts_the_signature() -> None:
    new, old = key(), key()
    headers = Keys.parse(f"{new}\n{old}\n").headers("msg_1", now(), BODY)
    for one in (new, old):
        Webhook(one).verify(BODY, headers)


@pytest.mark.parametrize("change", ["body", "id", "time", "key"])
def test_a_changed_request_is_not_accepted(change: str) -> None:
    signing = key()
    headers = Keys.parse(signing).headers("msg_1", now(), BODY)
    headers |= {"webhook-id": "msg_2"} if change == "id" else {}
    headers |= {"webhook-timestamp": str(now() - 60)} if change == "time" else {}
    with pytest.raises(WebhookVerificationError):
        Webhook(key() if change == "key" else signing).verify(BODY + b" " * (change == "body"), headers)


def test_the_signature_matches_the_published_example() -> None:
    headers = Keys.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_key_there_is_no_signature() -> None:
    assert set(Keys().headers("msg_1", 0, b"")) == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "text", ["secret", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_an_invalid_key_is_named_by_its_number_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"key 2 is not a signing key") as error:
        Keys.parse(f"{key()} {text}")
    assert text not in str(error.value).replace("whsec_ and", "")


def test_keys_are_not_shown() -> None:
    assert "MfKQ" not in repr(Keys.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
