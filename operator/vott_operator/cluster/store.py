"""What the watches have told so far, by TrainingJob: the reconciler's view of the cluster."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.times import timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import JobState, Observed, PodState, observe_job, observe_pod

Body = Mapping[str, Any]


class Store:
    """The newest known TrainingJobs, Jobs and pods of one or several namespaces. Not for several threads.

    `began` is when it began to be told of them, in UTC; what is older may have had a Job that it was never told of.
    """

    def __init__(self, began: datetime) -> None:
        self._began = timestamp(began)
        self._had_job: set[Key] = set()
        self._trainingjobs: dict[Key, TrainingJob] = {}
        self._jobs: dict[Key, JobState] = {}
        self._pods: dict[Key, dict[str, PodState]] = {}
        self._unfinished: set[Key] = set()
        self._settled: set[Key] = set()
        self._contents: dict[tuple[str, str], set[Key]] = {}

    def observed(self, key: Key) -> Observed | None:
        """All that is known of one TrainingJob; None when there is none."""
        trainingjob = self._trainingjobs.get(key)
        if trainingjob is None:
            return None
        pods = tuple(self._pods.get(key, {}).values())
        # RFC 3339 in UTC with seconds, on both sides.
        had_job = key in self._had_job or trainingjob.metadata.creation_timestamp <= self._began
        return Observed(trainingjob, self._jobs.get(key), pods, key in self._settled, may_have_had_job=had_job)

    def trainingjobs(self) -> dict[Key, TrainingJob]:
        """All known TrainingJobs, as a copy."""
        return dict(self._trainingjobs)

    def jobs(self) -> dict[Key, JobState]:
        """All known Jobs, as a copy."""
        return dict(self._jobs)

    @property
    def unfinished(self) -> int:
        """Number of TrainingJobs that are neither Complete nor Failed."""
        return len(self._unfinished)

    def put_trainingjob(self, trainingjob: TrainingJob) -> bool:
        """Take note of a TrainingJob, from a watch or from the answer to a write; False when a newer one is known already."""
        key, known = trainingjob.key, self._trainingjobs.get(trainingjob.key)
        same = known is not None and known.metadata.uid == trainingjob.metadata.uid
        if (
            known is not None
            and same
            and _older(trainingjob.metadata.resource_version, known.metadata.resource_version)
        ):
            return False
        if known is not None and not same:
            self._settled.discard(key)
            self._forget_content(known, key)
        self._trainingjobs[key] = trainingjob
        if content := _content(trainingjob):
            self._contents.setdefault(content, set()).add(key)
        if trainingjob.finished:
            self._unfinished.discard(key)
        else:
            self._unfinished.add(key)
        return True

    def note_settled(self, key: Key) -> None:
        """Take note that the message of a TrainingJob is removed from its queue."""
        if key in self._trainingjobs:
            self._settled.add(key)

    def of_content(self, queue: str, digest: str) -> list[TrainingJob]:
        """The TrainingJobs that messages of that queue and content brought."""
        return [self._trainingjobs[key] for key in self._contents.get((queue, digest), ())]

    def drop_trainingjob(self, key: Key, uid: str | None = None) -> None:
        """Forget a deleted TrainingJob (with `uid`: unless a new one of that name is known)."""
        known = self._trainingjobs.get(key)
        if known is not None and uid in (None, known.metadata.uid):
            del self._trainingjobs[key]
            self._had_job.discard(key)
            self._unfinished.discard(key)
            self._settled.discard(key)
            self._forget_content(known, key)

    def _forget_content(self, trainingjob: TrainingJob, key: Key) -> None:
        content = _content(trainingjob)
        keys = self._contents.get(content, set()) if content else set()
        keys.discard(key)
        if content and not keys:
            self._contents.pop(content, None)

    def put_job(self, key: Key, body: Body) -> None:
        """Take note of the Job of a TrainingJob's name, unless a newer state of it is known."""
        state, known = observe_job(body), self._jobs.get(key)
        if known is None or not _older(state.resource_version, known.resource_version):
            self._jobs[key] = state

    def drop_job(self, key: Key, uid: str | None = None) -> None:
        """Forget a deleted Job (with `uid`: unless a new one of that name is known)."""
        known = self._jobs.get(key)
        if known is not None and uid in (None, known.uid):
            del self._jobs[key]
            if key in self._trainingjobs:
                self._had_job.add(key)

    def put_pod(self, key: Key, body: Body) -> None:
        """Take note of a pod of a TrainingJob, unless a newer state of it is known."""
        state, pods = observe_pod(body), self._pods.setdefault(key, {})
        known = pods.get(state.name)
        if known is None or not _older(state.resource_version, known.resource_version):
            pods[state.name] = state

    def put_pods(self, key: Key, bodies: Iterable[Body]) -> None:
        """Take note of all the pods of a TrainingJob; others that were known are gone."""
        known = self._pods.pop(key, {})
        for body in bodies:
            name = body["metadata"]["name"]
            if name in known:
                self._pods.setdefault(key, {})[name] = known[name]
            self.put_pod(key, body)

    def pods(self) -> set[tuple[Key, str]]:
        """All known pods, as a copy."""
        return {(key, name) for key, pods in self._pods.items() for name in pods}

    def drop_pod(self, key: Key, name: str) -> None:
        """Forget a deleted pod."""
        pods = self._pods.get(key, {})
        pods.pop(name, None)
        if not pods:
            self._pods.pop(key, None)


def _content(trainingjob: TrainingJob) -> tuple[str, str] | None:
    annotations = trainingjob.metadata.annotations
    digest = annotations.get(c.ANNOTATION_DIGEST)
    return (annotations.get(c.ANNOTATION_QUEUE, ""), digest) if digest else None


def owner_key(body: Body) -> Key:
    """The TrainingJob that a Job or pod of ours names in its label."""
    metadata = body["metadata"]
    return Key(metadata["namespace"], metadata["labels"][c.LABEL_TRAININGJOB])


def _older(candidate: str, known: str) -> bool:
    # Since Kubernetes 1.35 resource versions are documented as comparable decimal numbers; etcd's always were.
    try:
        return int(candidate) < int(known)
    except ValueError:
        return False
