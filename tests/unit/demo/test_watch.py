"""Following a message whose consumer does not always respond."""

from dataclasses import dataclass
from io import StringIO
from urllib.parse import urlsplit

import pytest

from demo import watch
from demo.callbacks import CallbackReceiver
from demo.consumer import Training
from demo.errors import DemoError, ObservationError, TimeLimitError
from demo.progress import COMPLETE, MODEL_READY, Step
from demo.screen import Screen

DONE = Training("cats", Step(COMPLETE, MODEL_READY))


@dataclass
class FailingConsumer:
    """Fails `failures` times, then returns `result`."""

    failures: int = 0
    result: Training | None = DONE

    def training(self, message_id: str) -> Training | None:
        assert message_id == "m"
        self.failures -= 1
        if self.failures >= 0:
            raise ObservationError("kubectl get: the server is currently\nunable to handle the request")
        return self.result

    def cancel(self, message_id: str) -> None:
        raise AssertionError(message_id)

    def summary(self) -> str:
        raise AssertionError

    def logs(self, name: str) -> str:
        raise AssertionError(name)

    def advice(self) -> str:
        return "See the log."


@pytest.fixture(autouse=True)
def _short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.001)


def test_failed_observations_are_repeated() -> None:
    out = StringIO()
    assert watch.follow(FailingConsumer(failures=3), "m", Screen(out), None, 60) == DONE
    assert "retrying: kubectl get: the server is currently unable" in out.getvalue()


def test_the_time_limit_error_has_the_last_failure_and_where_to_look() -> None:
    with pytest.raises(TimeLimitError, match=r"(?s)unable to handle the request.*See the log\. Use --time-limit"):
        watch.follow(FailingConsumer(failures=1_000_000), "m", Screen(StringIO()), None, 0.05)


def test_a_message_without_a_training_is_in_the_queue() -> None:
    out = StringIO()
    with pytest.raises(TimeLimitError):
        watch.follow(FailingConsumer(result=None), "m", Screen(out), None, 0.05)
    assert out.getvalue().split() == ["queued", "the", "message", "is", "in", "the", "queue"]


def test_a_failed_callback_without_a_training_means_that_the_message_was_rejected() -> None:
    with CallbackReceiver("127.0.0.1") as receiver:
        receiver.receive(urlsplit(receiver.url).path, b'{"state": "failed", "message": "no such plugin"}')
        with pytest.raises(DemoError, match="rejected: no such plugin"):
            watch.follow(FailingConsumer(result=None), "m", Screen(StringIO()), receiver, 60)
