"""Reports to the TrainingJob: fields of its status, server-side apply, and the last report."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import InvalidParametersError, TemporaryFailureError
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.plugin_api import Fold
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.status_fields import status_fields
from vott_trainer.progress.trainingjob_status import LAST_REPORT, ReportRefusedError, TrainingJobStatus
from vott_trainer.stores.store import StoredObject

MODEL = StoredObject("https://store/models/model.tgz", "ab" * 32, 123)
SNAPSHOT = Snapshot(0.425, 3, 10, 7, 25, 0.25, 9.81234, {"mAP50": 0.91}, None, "Epoch 3 of 10", 90.4)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS_PATH = "/apis/vott.dev/v1alpha1/namespaces/training/trainingjobs/cats/status"


@pytest.fixture
def job(server: HttpServer, tmp_path: Path) -> TrainingJobStatus:
    (tmp_path / "token").write_text("first\n", encoding="ascii")
    server.always[STATUS_PATH] = Answer(200, b'{"metadata": {"uid": "uid-1"}}')
    return TrainingJobStatus("training", "cats", "uid-1", server.url, tmp_path)


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


def test_status_has_the_fold_of_a_cross_validation() -> None:
    progress = status_fields(replace(SNAPSHOT, fold=Fold(2, 5)), NOW)["progress"]
    assert (progress["foldCurrent"], progress["foldTotal"]) == (2, 5)


def test_status_omits_unknown_fields() -> None:
    fields = status_fields(Snapshot(), NOW)
    assert not {"classificationLoss", "estimatedCompletionTime"} & set(fields["progress"])
    assert "metrics" not in fields
    assert "model" not in fields


def test_completion_time_after_the_year_9999_is_omitted() -> None:
    assert "estimatedCompletionTime" not in status_fields(Snapshot(seconds_left=1e15), NOW)["progress"]


def test_report_is_a_server_side_apply_of_the_whole_status(server: HttpServer, job: TrainingJobStatus) -> None:
    job.send(SNAPSHOT)
    (request,) = server.requests
    assert (request.method, request.path) == ("PATCH", STATUS_PATH)
    assert request.query == "fieldManager=vott-trainer&force=true"
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.json["metadata"] == {"namespace": "training", "name": "cats"}
    assert request.json["status"]["progress"]["percent"] == 42


@pytest.mark.parametrize(
    ("status", "interval"),
    [(b"{}", None), (b'{"reportIntervalSeconds": 12}', 12.0), (b'{"reportIntervalSeconds": "soon"}', None)],
)
def test_a_report_returns_the_interval_that_the_operator_asks_for(
    status: bytes, interval: float | None, server: HttpServer, job: TrainingJobStatus
) -> None:
    server.always[STATUS_PATH] = Answer(200, b'{"metadata": {"uid": "uid-1"}, "status": %s}' % status)
    assert job.send(SNAPSHOT) == interval


def test_a_throttled_report_has_the_pause_that_the_api_server_asks_for(
    server: HttpServer, job: TrainingJobStatus
) -> None:
    server.always[STATUS_PATH] = Answer(429, headers={"Retry-After": "7"})
    with pytest.raises(ReportRefusedError, match="429 Too Many Requests") as error:
        job.send(SNAPSHOT)
    assert error.value.retry_after == 7.0


def test_proxy_of_the_environment_is_not_used(
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
def test_last_report_that_never_arrives_is_a_temporary_failure(
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
def test_api_server_is_read_from_the_environment(host: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert TrainingJobStatus.in_cluster("training/cats", "uid").server == server
