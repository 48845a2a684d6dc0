"""Invariants of every write, and the number of times that a trainer really started."""

from dataclasses import dataclass, field

from tests.unit.operator.simulator import ApiServer, Body
from tests.unit.operator.simulator_controllers import completion_index, exit_code, is_alive, owner_uid, true_condition
from vott_operator.api import constants as c

Ending = tuple[str, str]
"""Type and reason of the condition that ended a TrainingJob."""


@dataclass
class Run:
    """A pod of index 0 whose trainer started."""

    pod: str
    suspend_requested: bool
    """Whether spec.suspend was true at some time since the previous run."""
    suspended: bool
    """Whether the phase was Suspended at some time since the previous run."""
    recorded: bool = False
    """Whether the operator recorded it in status.podName."""


@dataclass
class Life:
    """The history of one TrainingJob, by its uid."""

    ending: Ending | None = None
    runs: list[Run] = field(default_factory=list)
    suspend_requested: bool = False
    suspended: bool = False
    had_finalizer: bool = False
    given_up: bool = False
    """Whether the status records that the callback was refused or given up."""
    failures_without_run: int = 0
    """Failures that a Job counts although no trainer started."""

    def least_restarts(self) -> int:
        """Restarts that the operator can't have missed: between recorded runs without a suspension in between."""
        recorded = [run for run in self.runs if run.recorded]
        return sum(not run.suspend_requested for run in recorded[1:])

    def most_restarts(self, *, may_miss_suspensions: bool) -> int:
        """All restarts, and the failures without a run, which Kubernetes counts too. A suspension that was seen is no restart."""
        return sum(may_miss_suspensions or not run.suspended for run in self.runs[1:]) + self.failures_without_run


class History:
    """Watches all writes. Raises AssertionError at the first that breaks an invariant."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.lives: dict[str, Life] = {}
        self._failed: set[str] = set()

    def check(self, event: str, plural: str, body: Body) -> None:
        """Check and record one write."""
        if plural == "trainingjobs" and event != "DELETED":
            self._check_trainingjob(body)
        elif plural == "trainingjobs":
            life = self.lives[body["metadata"]["uid"]]
            assert life.ending or not life.had_finalizer, "deleted without an ending that its callback could report"
        elif plural == "pods":
            self._check_pod(body)
        elif plural == "jobs" and event == "ADDED":
            others = {owner_uid(pod) for pod in self._api.all("pods") if is_alive(pod)}
            assert not others, "a Job was created while pods of another were alive"

    def _check_trainingjob(self, body: Body) -> None:
        life = self.lives.setdefault(body["metadata"]["uid"], Life())
        endings = [
            (type_, condition["reason"])
            for type_ in ("Complete", "Failed")
            if (condition := true_condition(body, type_)) is not None
        ]
        assert len(endings) <= 1, f"two endings at once: {endings}"
        assert life.ending is None or endings == [life.ending], f"the ending {life.ending} was replaced by {endings}"
        life.ending = endings[0] if endings else None
        status = body.get("status", {})
        life.had_finalizer = life.had_finalizer or c.FINALIZER in body["metadata"].get("finalizers", ())
        life.given_up = life.given_up or any(
            item["reason"] in (c.DELIVERY_GIVEN_UP, c.DELIVERY_REFUSED) for item in status.get("conditions", ())
        )
        assert not endings or status["phase"] == endings[0][0]
        life.suspend_requested = life.suspend_requested or bool(body["spec"].get("suspend"))
        life.suspended = life.suspended or status.get("phase") == "Suspended"
        for run in life.runs:
            run.recorded = run.recorded or status.get("podName") == run.pod

    def _check_pod(self, pod: Body) -> None:
        jobs = {owner_uid(item) for item in self._api.all("pods") if is_alive(item)}
        assert len(jobs) <= 1, "pods of two Jobs were alive at once"
        life = self._life_of(pod)
        if life is None:
            return
        name, runs = pod["metadata"]["name"], [run.pod for run in life.runs]
        states = pod["status"].get("containerStatuses") or [{"state": {}}]
        if completion_index(pod) == 0 and "running" in states[0]["state"] and name not in runs:
            life.runs.append(Run(name, life.suspend_requested, life.suspended))
            life.suspend_requested = life.suspended = False
        if pod["status"]["phase"] == "Failed" and name not in self._failed:
            self._failed.add(name)
            # With several nodes, the first pod may be deleted before another fails; the Job's count does not show which failed.
            if name not in runs and (exit_code(pod) != 143 or completion_index(pod)):
                life.failures_without_run += 1

    def _life_of(self, pod: Body) -> Life | None:
        job = self._api.find("jobs", "cats")
        if job is None or job["metadata"]["uid"] != owner_uid(pod):
            return None
        return self.lives.get(owner_uid(job))
