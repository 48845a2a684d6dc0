"""What must hold at every write, whatever happens, and how often a training really began anew."""

from dataclasses import dataclass, field

from tests.unit.operator.simulator import ApiServer, Body
from tests.unit.operator.simulator_controllers import alive, exit_code, index_of, is_true, owner_uid
from vott_operator.api import constants as c

Ending = tuple[str, str]


@dataclass
class Run:
    """A pod of index 0 whose trainer really ran."""

    pod: str
    asked: bool
    """Whether somebody asked to suspend the training since the run before it."""
    suspended: bool
    """Whether it then was."""
    noted: bool = False
    """Whether the operator came to record it."""


@dataclass
class Life:
    """Of one TrainingJob, by its uid."""

    ending: Ending | None = None
    runs: list[Run] = field(default_factory=list)
    asked: bool = False
    suspended: bool = False
    held: bool = False
    """Whether the finalizer was there for the sake of the callback."""
    given_up: bool = False
    """Whether it is recorded that the callback will not be told."""
    stillborn: int = 0
    """Failures that a Job counts though no trainer ran."""

    def least_restarts(self) -> int:
        """Those that the operator cannot have missed: between runs that it recorded, none of them after a suspension."""
        noted = [run for run in self.runs if run.noted]
        return sum(not run.asked for run in noted[1:])

    def most_restarts(self, *, blind: bool) -> int:
        """All, and failures that Kubernetes counts though nothing ran. A suspension is none unless the operator was blind to it."""
        return sum(blind or not run.suspended for run in self.runs[1:]) + self.stillborn


class History:
    """Watches all writes. Raises AssertionError at the first that must not be."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.lives: dict[str, Life] = {}
        self._failed: set[str] = set()

    def note(self, event: str, plural: str, body: Body) -> None:
        """One write."""
        if plural == "trainingjobs" and event != "DELETED":
            self._note_trainingjob(body)
        elif plural == "trainingjobs":
            life = self.lives[body["metadata"]["uid"]]
            assert life.ending or not life.held, "it is gone, and nothing was said of its end"
        elif plural == "pods":
            self._note_pod(body)
        elif plural == "jobs" and event == "ADDED":
            others = {owner_uid(pod) for pod in self._api.all("pods") if alive(pod)}
            assert not others, "a Job was made while pods of another were alive"

    def _note_trainingjob(self, body: Body) -> None:
        life = self.lives.setdefault(body["metadata"]["uid"], Life())
        endings = [(type_, known["reason"]) for type_ in ("Complete", "Failed") if (known := is_true(body, type_))]
        assert len(endings) <= 1, f"two ends at once: {endings}"
        assert life.ending is None or endings == [life.ending], f"{life.ending} was left for {endings}"
        life.ending = endings[0] if endings else None
        status = body.get("status", {})
        life.held = life.held or c.FINALIZER in body["metadata"].get("finalizers", ())
        life.given_up = life.given_up or any(
            item["reason"] in (c.DELIVERY_GIVEN_UP, c.DELIVERY_REFUSED) for item in status.get("conditions", ())
        )
        assert not endings or status["phase"] == endings[0][0]
        life.asked = life.asked or bool(body["spec"].get("suspend"))
        life.suspended = life.suspended or status.get("phase") == "Suspended"
        for run in life.runs:
            run.noted = run.noted or status.get("podName") == run.pod

    def _note_pod(self, pod: Body) -> None:
        jobs = {owner_uid(item) for item in self._api.all("pods") if alive(item)}
        assert len(jobs) <= 1, "pods of two Jobs were alive at once"
        life = self._life_of(pod)
        if life is None:
            return
        name, runs = pod["metadata"]["name"], [run.pod for run in life.runs]
        states = pod["status"].get("containerStatuses") or [{"state": {}}]
        if index_of(pod) == 0 and "running" in states[0]["state"] and name not in runs:
            life.runs.append(Run(name, life.asked, life.suspended))
            life.asked = life.suspended = False
        if pod["status"]["phase"] == "Failed" and name not in self._failed:
            self._failed.add(name)
            # Of several nodes the first may be gone before another fails; Kubernetes' count does not tell.
            if name not in runs and (exit_code(pod) != 143 or index_of(pod)):
                life.stillborn += 1

    def _life_of(self, pod: Body) -> Life | None:
        job = self._api.find("jobs", "cats")
        if job is None or job["metadata"]["uid"] != owner_uid(pod):
            return None
        return self.lives.get(owner_uid(job))
