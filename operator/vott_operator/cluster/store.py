"""The watch cache: the newest TrainingJobs, Jobs and pods from watches, lists and answers to writes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import JobState, Observed, PodState, observe_job, observe_pod

Body = Mapping[str, Any]


class Store:
    """TrainingJobs with their Jobs and pods, of one or several namespaces. Not thread-safe.

    `started` is when the watches started, in UTC: an older TrainingJob may have had a Job that they never showed.
    """

    def __init__(self, started: datetime) -> None:
        self.is_complete = False
        """Whether the watches have shown everything."""
        self._started = timestamp(started)
        self._had_job: set[Key] = set()
        self._trainingjobs: dict[Key, TrainingJob] = {}
        self._jobs: dict[Key, JobState] = {}
        self._pods: dict[Key, dict[str, PodState]] = {}
        self._unfinished: set[Key] = set()
        self._running: set[Key] = set()
        self._settled: set[Key] = set()
        self._contents: dict[tuple[str, str], set[Key]] = {}
        """By queue and digest of the message."""

    def observed(self, key: Key) -> Observed | None:
        """One TrainingJob with its Job and pods; None if there is none."""
        trainingjob = self._trainingjobs.get(key)
        if trainingjob is None:
            return None
        pods = tuple(self._pods.get(key, {}).values())
        # Both are RFC 3339 in UTC with seconds, so they compare as strings.
        had_job = key in self._had_job or trainingjob.metadata.creation_timestamp <= self._started
        return Observed(
            trainingjob,
            self._jobs.get(key),
            pods,
            key in self._settled,
            may_have_had_job=had_job,
            running=len(self._running),
            counts_all=self.is_complete,
        )

    def trainingjob(self, key: Key) -> TrainingJob | None:
        """One TrainingJob; None if there is none."""
        return self._trainingjobs.get(key)

    def trainingjobs(self) -> dict[Key, TrainingJob]:
        """A copy of all TrainingJobs."""
        return dict(self._trainingjobs)

    def jobs(self) -> dict[Key, JobState]:
        """A copy of all Jobs."""
        return dict(self._jobs)

    @property
    def unfinished(self) -> int:
        """Number of TrainingJobs that are neither Complete nor Failed."""
        return len(self._unfinished)

    def put_trainingjob(self, trainingjob: TrainingJob) -> bool:
        """Store a TrainingJob. Returns False if a newer version is stored already."""
        key, current = trainingjob.key, self._trainingjobs.get(trainingjob.key)
        if current is not None and current.metadata.uid != trainingjob.metadata.uid:
            self._settled.discard(key)
            self._drop_content(current)
        elif current is not None and _is_older(
            trainingjob.metadata.resource_version, current.metadata.resource_version
        ):
            return False
        self._trainingjobs[key] = trainingjob
        if content := _content(trainingjob):
            self._contents.setdefault(content, set()).add(key)
        _update(self._unfinished, key, not trainingjob.finished)
        _update(self._running, key, trainingjob.status.phase == c.RUNNING)
        return True

    def mark_settled(self, key: Key) -> None:
        """Record that the message of a TrainingJob was removed from its queue."""
        if key in self._trainingjobs:
            self._settled.add(key)

    def find_by_content(self, queue: str, digest: str) -> list[TrainingJob]:
        """The TrainingJobs of a queue's messages with this content."""
        return [self._trainingjobs[key] for key in self._contents.get((queue, digest), ())]

    def drop_trainingjob(self, key: Key, uid: str | None = None) -> None:
        """Drop a deleted TrainingJob; with `uid`, only that one and not a successor of its name."""
        current = self._trainingjobs.get(key)
        if current is not None and uid in (None, current.metadata.uid):
            del self._trainingjobs[key]
            self._had_job.discard(key)
            self._unfinished.discard(key)
            self._running.discard(key)
            self._settled.discard(key)
            self._drop_content(current)

    def _drop_content(self, trainingjob: TrainingJob) -> None:
        content = _content(trainingjob)
        keys = self._contents.get(content, set()) if content else set()
        keys.discard(trainingjob.key)
        if content and not keys:
            self._contents.pop(content, None)

    def put_job(self, key: Key, body: Body) -> None:
        """Store the Job of a TrainingJob's name, unless a newer version is stored already."""
        state, current = observe_job(body), self._jobs.get(key)
        if current is None or not _is_older(state.resource_version, current.resource_version):
            self._jobs[key] = state

    def drop_job(self, key: Key, uid: str | None = None) -> None:
        """Drop a deleted Job; with `uid`, only that one and not a successor of its name."""
        current = self._jobs.get(key)
        if current is not None and uid in (None, current.uid):
            del self._jobs[key]
            if key in self._trainingjobs:
                self._had_job.add(key)

    def put_pod(self, key: Key, body: Body) -> None:
        """Store a pod of a TrainingJob, unless a newer version is stored already."""
        state, pods = observe_pod(body), self._pods.setdefault(key, {})
        current = pods.get(state.name)
        if current is None or not _is_older(state.resource_version, current.resource_version):
            pods[state.name] = state

    def put_pods(self, key: Key, bodies: Iterable[Body]) -> None:
        """Replace the pods of a TrainingJob by those of a list, but keep newer versions."""
        previous = self._pods.pop(key, {})
        for body in bodies:
            name = body["metadata"]["name"]
            if name in previous:
                self._pods.setdefault(key, {})[name] = previous[name]
            self.put_pod(key, body)

    def pods(self) -> set[tuple[Key, str]]:
        """A copy of the keys and names of all pods."""
        return {(key, name) for key, pods in self._pods.items() for name in pods}

    def drop_pod(self, key: Key, name: str) -> None:
        """Drop a deleted pod."""
        pods = self._pods.get(key, {})
        pods.pop(name, None)
        if not pods:
            self._pods.pop(key, None)


def _update(keys: set[Key], key: Key, is_member: bool) -> None:
    if is_member:
        keys.add(key)
    else:
        keys.discard(key)


def _content(trainingjob: TrainingJob) -> tuple[str, str] | None:
    annotations = trainingjob.metadata.annotations
    digest = annotations.get(c.ANNOTATION_DIGEST)
    return (annotations.get(c.ANNOTATION_QUEUE, ""), digest) if digest else None


def owner_key(body: Body) -> Key:
    """The TrainingJob that a Job or pod belongs to, by its label."""
    metadata = body["metadata"]
    return Key(metadata["namespace"], metadata["labels"][c.LABEL_TRAININGJOB])


def _is_older(candidate: str, current: str) -> bool:
    # Kubernetes 1.35 documents resource versions as comparable decimal numbers; etcd's always were.
    try:
        return int(candidate) < int(current)
    except ValueError:
        return False
