"""What the watches have told so far, by TrainingJob: the reconciler's view of the cluster."""

from collections.abc import Mapping
from typing import Any

from . import constants as c
from .models import TrainingJob
from .names import Key
from .observed import JobState, Observed, PodState, observe_job, observe_pod

Body = Mapping[str, Any]


class Store:
    """The newest known TrainingJobs, Jobs and pods of one or several namespaces."""

    def __init__(self) -> None:
        self._trainingjobs: dict[Key, TrainingJob] = {}
        self._jobs: dict[Key, JobState] = {}
        self._pods: dict[Key, dict[str, PodState]] = {}

    def observed(self, key: Key) -> Observed | None:
        """All that is known of one TrainingJob; None when there is none."""
        trainingjob = self._trainingjobs.get(key)
        if trainingjob is None:
            return None
        return Observed(trainingjob, self._jobs.get(key), tuple(self._pods.get(key, {}).values()))

    def known(self) -> list[Key]:
        """All known TrainingJobs."""
        return list(self._trainingjobs)

    @property
    def unfinished(self) -> int:
        """Number of TrainingJobs that are neither Complete nor Failed."""
        return sum(1 for item in self._trainingjobs.values() if not item.finished)

    def put_trainingjob(self, trainingjob: TrainingJob) -> bool:
        """Take note of a TrainingJob, from a watch or from the answer to a write; False when a newer one is known already."""
        known = self._trainingjobs.get(trainingjob.key)
        if known is not None and known.metadata.uid == trainingjob.metadata.uid and _older(trainingjob, known):
            return False
        self._trainingjobs[trainingjob.key] = trainingjob
        return True

    def drop_trainingjob(self, key: Key, uid: str | None = None) -> None:
        """Forget a deleted TrainingJob (with `uid`: unless a new one of that name is known)."""
        known = self._trainingjobs.get(key)
        if known is not None and uid in (None, known.metadata.uid):
            del self._trainingjobs[key]

    def put_job(self, body: Body, *, deleted: bool = False) -> Key:
        """Take note of a Job; returns the TrainingJob that it belongs to."""
        key = owner_key(body)
        if deleted:
            self._jobs.pop(key, None)
        else:
            self._jobs[key] = observe_job(body)
        return key

    def put_pod(self, body: Body, *, deleted: bool = False) -> Key:
        """Take note of a pod; returns the TrainingJob that it belongs to."""
        key, name = owner_key(body), body["metadata"]["name"]
        pods = self._pods.setdefault(key, {})
        if deleted:
            pods.pop(name, None)
        else:
            pods[name] = observe_pod(body)
        if not pods:
            del self._pods[key]
        return key


def owner_key(body: Body) -> Key:
    """The TrainingJob that a Job or pod names in its label."""
    metadata = body["metadata"]
    return Key(metadata["namespace"], metadata["labels"][c.LABEL_TRAININGJOB])


def _older(candidate: TrainingJob, known: TrainingJob) -> bool:
    # Since Kubernetes 1.35 resource versions are documented as comparable decimal numbers; etcd's always were.
    try:
        return int(candidate.metadata.resource_version) < int(known.metadata.resource_version)
    except ValueError:
        return False
