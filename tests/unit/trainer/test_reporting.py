"""Reports in the background: what they say, how often, and that a failing receiver harms nobody."""

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import InvalidParametersError, TemporaryFailureError
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.progress.callback import Callback, payload
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.reporter import Reporter, UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.trainingjob_status import LAST_REPORT, TrainingJobStatus, status_fields
from vott_trainer.stores.store import StoredObject

MODEL = StoredObject("https://store/models/model.tgz", "ab" * 32, 123)
SNAPSHOT = Snapshot(0.425, 3, 10, 7, 25, 0.25, 9.81234, {"mAP50": 0.91}, None, "Epoch 3 of 10", 90.4)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS_PATH = "/apis/vott.dev/v1alpha1/namespaces/training/trainingjobs/cats/status"


@dataclass
class Receiver:
    """Remembers what was sent; may fail, or hold every report until released."""

    name: str = "the receiver"
    failures: int = 0
    error: Exception = field(default_factory=lambda: OSError("no route"))
    release: threading.Event = field(default_factory=threading.Event)
    sent: list[Snapshot] = field(default_factory=list)
    attempted: threading.Event = field(default_factory=threading.Event)

    def send(self, snapshot: Snapshot) -> None:
        self.attempted.set()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.release.wait(10)
        self.sent.append(snapshot)


@pytest.fixture
def receiver() -> Receiver:
    made = Receiver()
    made.release.set()
    return made


@pytest.fixture
def job(server: HttpServer, tmp_path: Path) -> TrainingJobStatus:
    (tmp_path / "token").write_text("first\n", encoding="ascii")
    server.always[STATUS_PATH] = Answer(200, b'{"metadata": {"uid": "uid-1"}}')
    return TrainingJobStatus("training", "cats", "uid-1", server.url, tmp_path)


def test_within_the_interval_steps_make_no_further_report(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    reporter(Snapshot(step_current=1))
    assert receiver.attempted.wait(10)
    receiver.attempted.clear()
    for step in range(2, 100):
        reporter(Snapshot(step_current=step))
    assert not receiver.attempted.wait(0.2)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 99]


def test_report_follows_once_the_interval_is_over(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=0.01)
    for step in (1, 2):
        receiver.attempted.clear()
        reporter(Snapshot(step_current=step))
        assert receiver.attempted.wait(10)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 2]


def test_end_of_an_epoch_does_not_wait_for_the_interval(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    for epoch in (1, 2, 3):
        receiver.attempted.clear()
        reporter(Snapshot(epoch_current=epoch), True)
        assert receiver.attempted.wait(10)
    reporter.close()
    assert [snapshot.epoch_current for snapshot in receiver.sent] == [1, 2, 3]


def test_slow_receiver_gets_the_newest_report_and_does_not_hold_up_the_training() -> None:
    slow = Receiver()
    reporter = Reporter([slow], interval=0)
    reporter(Snapshot(step_current=1), True)
    assert slow.attempted.wait(10)
    for step in range(2, 100):
        reporter(Snapshot(step_current=step), True)  # would hang here, were it synchronous
    slow.release.set()
    reporter.close()
    assert [snapshot.step_current for snapshot in slow.sent] == [1, 99]


def test_failing_receiver_is_logged_once_and_disturbs_no_other(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Receiver(name="the callback", failures=1000)
    reporter = Reporter([failing, receiver], interval=0)
    with caplog.at_level(logging.WARNING):
        for epoch in range(5):
            failing.attempted.clear()
            reporter(Snapshot(epoch_current=epoch), True)
            assert failing.attempted.wait(10)
        reporter.close()
    assert [record.getMessage() for record in caplog.records] == [
        "a report to the callback failed, training goes on: no route"
    ]
    assert receiver.sent[-1].epoch_current == 4


def test_receiver_that_is_gone_gets_no_more_reports() -> None:
    gone = Receiver(failures=1, error=UnsubscribedError())
    gone.release.set()
    reporter = Reporter([gone], interval=0)
    reporter(Snapshot(), True)
    assert gone.attempted.wait(10)
    reporter(Snapshot(), True)
    reporter.close()
    assert gone.sent == []


def test_close_sends_what_is_waiting(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    reporter(Snapshot(step_current=1))
    assert receiver.attempted.wait(10)
    reporter(Snapshot(step_current=2))
    reporter.close()
    assert receiver.sent[-1].step_current == 2


def test_status_has_the_contracts_fields() -> None:
    assert status_fields(SNAPSHOT, NOW) == {
        "progress": {
            "percent": 42,
            "epochCurrent": 3,
            "epochTotal": 10,
            "stepCurrent": 7,
            "stepTotal": 25,
            "classificationLoss": 0.25,
            "imagesPerSecond": 9.8123,
            "lastUpdatedTime": "2026-01-01T00:00:00Z",
            "estimatedCompletionTime": "2026-01-01T00:01:30Z",
        },
        "metrics": [{"name": "mAP50", "value": 0.91}],
    }


def test_status_leaves_out_what_is_not_known_yet() -> None:
    found = status_fields(Snapshot(), NOW)
    assert not {"classificationLoss", "estimatedCompletionTime"} & set(found["progress"])
    assert "metrics" not in found
    assert "model" not in found


def test_end_beyond_all_calendars_is_left_out() -> None:
    assert "estimatedCompletionTime" not in status_fields(Snapshot(seconds_left=1e15), NOW)["progress"]


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


def test_callback_that_answers_410_is_gone(server: HttpServer) -> None:
    server.always["/status"] = Answer(410)
    with pytest.raises(UnsubscribedError):
        Callback(server.url + "/status", "cats").send(SNAPSHOT)


def test_failed_callback_does_not_show_its_url(unused_url: str) -> None:
    with pytest.raises(Exception, match="can't be reached") as error:
        Callback(f"{unused_url}/?sig=SECRET", "cats").send(SNAPSHOT)
    assert "SECRET" not in str(error.value)


def test_report_is_a_server_side_apply_of_the_whole_status(server: HttpServer, job: TrainingJobStatus) -> None:
    job.send(SNAPSHOT)
    (request,) = server.requests
    assert (request.method, request.path) == ("PATCH", STATUS_PATH)
    assert request.query == "fieldManager=vott-trainer&force=true"
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.json["metadata"] == {"namespace": "training", "name": "cats"}
    assert request.json["status"]["progress"]["percent"] == 42


def test_nobody_stands_between_the_pod_and_its_api_server(
    server: HttpServer, job: TrainingJobStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        job.send(SNAPSHOT)
        assert proxy.requests == []
    assert [request.path for request in server.requests] == [STATUS_PATH]


def test_renewed_token_is_used(server: HttpServer, job: TrainingJobStatus, tmp_path: Path) -> None:
    job.send(SNAPSHOT)
    (tmp_path / "token").write_text("second", encoding="ascii")
    job.send(SNAPSHOT)
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]


def test_last_report_is_repeated_until_it_arrives(server: HttpServer, job: TrainingJobStatus) -> None:
    refusals = [401, 403, 409, 429, 500, 503, 507]
    server.answers[STATUS_PATH] = [Answer(status) for status in refusals]
    job.send_until_accepted(Snapshot(fraction=1.0, model=MODEL), RetryPolicy(attempts=10, sleep=lambda _seconds: None))
    assert len(server.requests) == len(refusals) + 1
    assert server.requests[-1].json["status"]["model"] == {"url": MODEL.url, "sha256": MODEL.sha256, "sizeBytes": 123}


def test_last_report_outlasts_an_outage_of_about_ten_minutes() -> None:
    delays = [LAST_REPORT.backoff.seconds(failures) for failures in range(1, LAST_REPORT.attempts)]
    assert 450 <= sum(delays) <= 601  # with the jitter's quarter
    assert max(delays) <= 30


@pytest.mark.parametrize("code", [403, 404, 503])
def test_last_report_that_never_arrives_is_a_passing_fault(
    code: int, server: HttpServer, job: TrainingJobStatus
) -> None:
    server.always[STATUS_PATH] = Answer(code, b'{"message": "denied by policy"}')
    with pytest.raises(TemporaryFailureError, match="denied by policy"):
        job.send_until_accepted(Snapshot(model=MODEL), RetryPolicy(attempts=2, sleep=lambda _seconds: None))


@pytest.mark.parametrize("name", ["cats", "training/", "/cats", "a/b/c"])
def test_trainingjob_must_be_namespace_and_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(InvalidParametersError, match="expected NAMESPACE/NAME"):
        TrainingJobStatus.in_cluster(name, "uid")


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_api_server_is_found_by_the_pods_environment(host: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert TrainingJobStatus.in_cluster("training/cats", "uid").server == server


def test_progress_covers_fetching_training_and_upload() -> None:
    told: list[tuple[float, bool]] = []
    progress = Progress(lambda snapshot, milestone: told.append((round(snapshot.fraction, 3), milestone)))
    progress.fetching(1, 2)
    progress.begin(epochs=2, steps=2)
    for epoch in (1, 2):
        for step in (1, 2):
            progress.step(epoch, step, classification_loss=0.5, images_per_second=1.0)
        progress.epoch_end({"mAP50": 0.5})
    progress.uploading({"mAP50": 0.5})
    assert told == [
        (0.025, False), (0.05, False), (0.275, False), (0.5, False), (0.5, True),
        (0.725, False), (0.95, False), (0.95, True), (0.95, False),
    ]  # fmt: skip
    assert progress.complete(MODEL).fraction == 1.0
