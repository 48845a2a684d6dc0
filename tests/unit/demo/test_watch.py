"""Following a message on a cluster that does not always respond."""

from dataclasses import dataclass, field
from io import StringIO

import pytest

from demo import watch
from demo.errors import TimeLimitError
from demo.kubectl import Kubectl, KubectlError, Manifest
from demo.screen import Screen

DONE: Manifest = {
    "metadata": {"name": "cats", "annotations": {"vott.dev/message-id": "m"}},
    "spec": {},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}


@dataclass(frozen=True)
class FailingKubectl(Kubectl):
    """Fails `failures` times, then returns a Complete TrainingJob and no pods."""

    kubeconfig: str = "/k"
    namespace: str = "ns"
    failures: int = 0
    calls: list[str] = field(default_factory=list)

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        self.calls.append(kind)
        if len(self.calls) <= self.failures:
            raise KubectlError("kubectl get: the server is currently\nunable to handle the request")
        return [] if selector else [DONE]


@pytest.fixture(autouse=True)
def _short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.001)


def test_failed_calls_are_retried() -> None:
    out = StringIO()
    assert watch.follow(FailingKubectl(failures=3), "m", Screen(out), None, 60) == DONE
    assert "retrying: kubectl get: the server is currently unable" in out.getvalue()


def test_the_time_limit_error_has_the_last_failure() -> None:
    with pytest.raises(TimeLimitError, match="unable to handle the request"):
        watch.follow(FailingKubectl(failures=1_000_000), "m", Screen(StringIO()), None, 0.05)
