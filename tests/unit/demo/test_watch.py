"""Following a message through a cluster that does not always answer."""

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
class Unsteady(Kubectl):
    """Fails as often as told, then knows a TrainingJob that is Complete, and no pod."""

    kubeconfig: str = "/k"
    namespace: str = "ns"
    failures: int = 0
    asked: list[str] = field(default_factory=list)

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        self.asked.append(kind)
        if len(self.asked) <= self.failures:
            raise KubectlError("kubectl get: the server is currently\nunable to handle the request")
        return [] if selector else [DONE]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.001)


def test_cluster_that_does_not_answer_for_a_moment_is_asked_again() -> None:
    out = StringIO()
    assert watch.follow(Unsteady(failures=3), "m", Screen(out), None, 60) == DONE
    assert "asking the cluster again: kubectl get: the server is currently unable" in out.getvalue()


def test_cluster_that_never_answers_is_named_at_the_time_limit() -> None:
    with pytest.raises(TimeLimitError, match="unable to handle the request"):
        watch.follow(Unsteady(failures=1_000_000), "m", Screen(StringIO()), None, 0.05)
