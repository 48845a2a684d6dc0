"""Posts to the callback: fields, headers and errors."""

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.progress.callback import MAX_RETRY_AFTER_SECONDS, Callback, CallbackError, payload
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot

SNAPSHOT = Snapshot(0.425, 3, 10, 7, 25, 0.25, 9.81234, {"mAP50": 0.91}, None, "Epoch 3 of 10", 90.4)


def test_callback_has_the_six_fields_of_the_first_vott_train_and_three_more() -> None:
    assert payload(SNAPSHOT, "cats", "running", "Epoch 3 of 10") == {
        "progress": 0.425,
        "epoch_current": 3,
        "epoch_total": 10,
        "step_current": 7,
        "step_total": 25,
        "classification_loss": 0.25,
        "job": "cats",
        "state": "running",
        "message": "Epoch 3 of 10",
    }


def test_callback_carries_standard_webhook_headers(server: HttpServer) -> None:
    callback = Callback(server.url + "/status", "cats")
    callback.send(SNAPSHOT)
    callback.send(SNAPSHOT)
    first, second = ({name.lower(): value for name, value in r.headers.items()} for r in server.requests)
    assert first["webhook-id"] != second["webhook-id"]
    assert int(first["webhook-timestamp"]) > 0


def test_callback_follows_no_redirect(server: HttpServer) -> None:
    server.always["/status"] = Answer(307, headers={"Location": "/elsewhere"})
    with pytest.raises(Exception, match="HTTP 307"):
        Callback(server.url + "/status", "cats").send(SNAPSHOT)
    assert [request.path for request in server.requests] == ["/status"]


def test_callback_that_answers_410_is_unsubscribed(server: HttpServer) -> None:
    server.always["/status"] = Answer(410)
    with pytest.raises(UnsubscribedError):
        Callback(server.url + "/status", "cats").send(SNAPSHOT)


def test_failed_callback_does_not_show_its_url(unused_url: str) -> None:
    with pytest.raises(Exception, match="can't be reached") as error:
        Callback(f"{unused_url}/?sig=SECRET", "cats").send(SNAPSHOT)
    assert "SECRET" not in str(error.value)


def test_an_outcome_is_posted_again_with_the_same_id_while_the_receiver_fails(server: HttpServer) -> None:
    server.answers["/status"] = [Answer(503), Answer(429)]
    server.always["/status"] = Answer(204)
    Callback(server.url + "/status", "cats").post_outcome(SNAPSHOT, "succeeded", "The model is uploaded")
    assert [request.json["state"] for request in server.requests] == ["succeeded"] * 3
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1


def test_an_outcome_that_the_receiver_refuses_is_not_posted_again(server: HttpServer) -> None:
    server.always["/status"] = Answer(401)
    with pytest.raises(Exception, match="HTTP 401"):
        Callback(server.url + "/status", "cats").post_outcome(SNAPSHOT, "failed", "No.")
    assert len(server.requests) == 1


def test_a_throttled_post_has_the_pause_that_the_receiver_asks_for(server: HttpServer) -> None:
    server.always["/status"] = Answer(429, headers={"Retry-After": "3600"})
    with pytest.raises(CallbackError) as error:
        Callback(server.url + "/status", "cats").send(SNAPSHOT)
    assert error.value.retry_after == MAX_RETRY_AFTER_SECONDS
