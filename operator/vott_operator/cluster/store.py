"""The watch cache: the newest TrainingJobs, Jobs and pods from watches, lists and answers to writes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import JobState, Observed, PodState, observe_job, observe_pod
from vott_operator.decisions.summary import Summary

Body = Mapping[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's copy of the whole manifest."""
AFTER_THE_END: Any = {"metadata": {"annotations": {LAST_APPLIED}}, "spec": {"parameters", "pod_template"}}
"""What no decision about a finished TrainingJob reads."""
BEFORE_THE_END: Any = {"metadata": {"annotations": {LAST_APPLIED}}}


class Kind(Enum):
    """The kinds of objects that the operator watches."""

    TRAININGJOB = "TrainingJob"
    JOB = "Job"
    POD = "Pod"


class Listed(NamedTuple):
    """One version of an object, from the metadata that a list showed."""

    kind: Kind
    key: Key
    """The TrainingJob that it is or belongs to."""
    name: str
    uid: str
    resource_version: str

    @classmethod
    def of(cls, kind: Kind, metadata: Body) -> "Listed":
        """Reduce the metadata of an object. A Job or pod belongs to the TrainingJob of its label."""
        name = metadata["name"] if kind == Kind.TRAININGJOB else metadata["labels"][c.LABEL_TRAININGJOB]
        key = Key(metadata["namespace"], name)
        return cls(kind, key, metadata["name"], metadata["uid"], metadata["resourceVersion"])

    @property
    def identity(self) -> str:
        """What tells it from others that were, are or will be stored under its key."""
        return {Kind.TRAININGJOB: self.uid, Kind.JOB: "", Kind.POD: self.name}[self.kind]


@dataclass(slots=True)
class _Stored:
    """A TrainingJob as JSON. Parsed, `parameters` of 64 KB may take more than 1 MB."""

    uid: str
    resource_version: str
    content: tuple[str, str] | None
    """Queue and digest of its message."""
    json: str
    summary: Summary


class Store:
    """TrainingJobs with their Jobs and pods, of one or several namespaces. Not thread-safe.

    `started` is when the watches started, in UTC: an older TrainingJob may have had a Job that they never showed.
    """

    def __init__(self, started: datetime) -> None:
        self.is_complete = False
        """Whether the watches have shown everything."""
        self._started = timestamp(started)
        self._had_job: set[Key] = set()
        self._trainingjobs: dict[Key, _Stored] = {}
        self._invalid: dict[Key, str] = {}
        """resourceVersion of each TrainingJob that does not match the schema."""
        self._jobs: dict[Key, JobState] = {}
        self._pods: dict[Key, dict[str, PodState]] = {}
        self._counts: Counter[tuple[str, bool]] = Counter()
        """Unfinished TrainingJobs by the queue of their message, and by whether they wait for quota."""
        self._running = 0
        self._settled: set[Key] = set()
        self._contents: dict[tuple[str, str], set[Key]] = {}
        """By queue and digest of the message."""
        self._with_finalizer: dict[str, set[Key]] = {}
        """By namespace."""
        self._callback_urls: dict[Key, str] = {}

    # ---------------------------------------------------------------------------------------------------- TrainingJobs

    def observed(self, key: Key) -> Observed | None:
        """One TrainingJob with its Job and pods; None if there is none. One that has ended comes without parameters and podTemplate."""
        if key not in self._trainingjobs:
            return None
        trainingjob = self._trainingjob(key)
        pods = tuple(self._pods.get(key, {}).values())
        # Both are RFC 3339 in UTC with seconds, so they compare as strings.
        had_job = key in self._had_job or trainingjob.metadata.creation_timestamp <= self._started
        return Observed(
            trainingjob,
            self._jobs.get(key),
            pods,
            key in self._settled,
            may_have_had_job=had_job,
            running=self._running,
            counts_all=self.is_complete,
        )

    def trainingjob(self, key: Key) -> TrainingJob | None:
        """One TrainingJob; None if there is none."""
        return self._trainingjob(key) if key in self._trainingjobs else None

    def keys(self, namespace: str) -> list[Key]:
        """The TrainingJobs of a namespace."""
        return [key for key in self._trainingjobs if key.namespace == namespace]

    def summaries(self) -> Iterator[tuple[Key, Summary]]:
        """What metrics show of each TrainingJob, without parsing it."""
        return ((key, stored.summary) for key, stored in self._trainingjobs.items())

    def running_gpus(self) -> Counter[str]:
        """GPUs of the trainers that run, by namespace."""
        gpus = Counter[str]()
        for key, pods in self._pods.items():
            if key in self._trainingjobs:
                running = sum(pod.running for pod in pods.values())
                gpus[key.namespace] += running * self._trainingjobs[key].summary.gpus
        return gpus

    def is_unfinished(self, key: Key) -> bool:
        """Whether there is a TrainingJob that is neither Complete nor Failed."""
        stored = self._trainingjobs.get(key)
        return stored is not None and not stored.summary.finished

    def unfinished(self, queue: str) -> int:
        """Number of TrainingJobs of a queue's messages that are neither Complete nor Failed, without those that wait for quota."""
        return self._counts[queue, False]

    def waiting_for_quota(self, queue: str) -> int:
        """Number of TrainingJobs of a queue's messages that are suspended or wait for quota."""
        return self._counts[queue, True]

    def put_trainingjob(self, trainingjob: TrainingJob) -> bool:
        """Store a TrainingJob. Returns False if a newer version is stored already."""
        key, metadata, current = trainingjob.key, trainingjob.metadata, self._trainingjobs.get(trainingjob.key)
        if current is not None and current.uid != metadata.uid:
            self._settled.discard(key)
            self._callback_urls.pop(key, None)
            self._drop_content(key, current)
        elif current is not None and _is_older(metadata.resource_version, current.resource_version):
            return False
        unneeded = AFTER_THE_END if trainingjob.finished else BEFORE_THE_END
        text = trainingjob.model_dump_json(by_alias=True, exclude_unset=True, exclude=unneeded)
        stored = _Stored(metadata.uid, metadata.resource_version, _content(trainingjob), text, Summary.of(trainingjob))
        self._trainingjobs[key] = stored
        self._invalid.pop(key, None)
        self._put_finalizer(trainingjob)
        if stored.content:
            self._contents.setdefault(stored.content, set()).add(key)
        if current is not None:
            self._count(current.summary, -1)
        self._count(stored.summary, 1)
        return True

    def _count(self, summary: Summary, change: int) -> None:
        if not summary.finished:
            self._counts[summary.queue, summary.waits_for_quota] += change
        if summary.phase == c.RUNNING:
            self._running += change

    def put_invalid(self, key: Key, resource_version: str) -> None:
        """Record that a TrainingJob does not match the schema, so that it is not missed."""
        self._invalid[key] = resource_version

    def _put_finalizer(self, trainingjob: TrainingJob) -> None:
        key = trainingjob.key
        keys = self._with_finalizer.setdefault(key.namespace, set())
        if c.FINALIZER in trainingjob.metadata.finalizers:
            keys.add(key)
        else:
            keys.discard(key)
            if trainingjob.finished:
                self._callback_urls.pop(key, None)

    def has_finalizers(self, namespace: str) -> bool:
        """Whether a TrainingJob of this namespace has the operator's finalizer."""
        return bool(self._with_finalizer.get(namespace))

    def put_callback_url(self, trainingjob: TrainingJob, url: str) -> None:
        """Remember the callback's URL with its credential, until the TrainingJob is dropped or its outcome was posted."""
        current = self._trainingjobs.get(trainingjob.key)
        if current is not None and current.uid == trainingjob.metadata.uid:
            self._callback_urls[trainingjob.key] = url

    def callback_url(self, trainingjob: TrainingJob) -> str | None:
        """The URL that `put_callback_url` stored."""
        current = self._trainingjobs.get(trainingjob.key)
        is_same = current is not None and current.uid == trainingjob.metadata.uid
        return self._callback_urls.get(trainingjob.key) if is_same else None

    def mark_settled(self, key: Key) -> None:
        """Record that the message of a TrainingJob was removed from its queue."""
        if key in self._trainingjobs:
            self._settled.add(key)

    def find_by_content(self, queue: str, digest: str) -> list[TrainingJob]:
        """The TrainingJobs of a queue's messages with this content."""
        return [self._trainingjob(key) for key in self._contents.get((queue, digest), ())]

    def drop_trainingjob(self, key: Key, uid: str | None = None) -> None:
        """Drop a deleted TrainingJob; with `uid`, only that one and not a successor of its name."""
        self._invalid.pop(key, None)
        current = self._trainingjobs.get(key)
        if current is not None and uid in (None, current.uid):
            del self._trainingjobs[key]
            self._had_job.discard(key)
            self._count(current.summary, -1)
            self._settled.discard(key)
            self._with_finalizer[key.namespace].discard(key)
            self._callback_urls.pop(key, None)
            self._drop_content(key, current)

    def _trainingjob(self, key: Key) -> TrainingJob:
        return TrainingJob.model_validate_json(self._trainingjobs[key].json)

    def _drop_content(self, key: Key, stored: _Stored) -> None:
        keys = self._contents.get(stored.content, set()) if stored.content else set()
        keys.discard(key)
        if stored.content and not keys:
            self._contents.pop(stored.content, None)

    # ---------------------------------------------------------------------------------------------------- Jobs and pods

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

    # ------------------------------------------------------------------------------------------------- compared to lists

    def stored(self, kind: Kind, namespace: str) -> set[tuple[Key, str]]:
        """Key and identity of all objects of a kind and namespace."""
        found: Iterable[tuple[Key, str]]
        if kind == Kind.TRAININGJOB:
            found = ((key, item.uid) for key, item in self._trainingjobs.items())
        elif kind == Kind.JOB:
            found = ((key, "") for key in self._jobs)
        else:
            found = self.pods()
        return {(key, identity) for key, identity in found if key.namespace == namespace}

    def drop(self, kind: Kind, key: Key, identity: str) -> None:
        """Drop an object that no longer exists."""
        if kind == Kind.TRAININGJOB:
            self.drop_trainingjob(key, identity)
        elif kind == Kind.JOB:
            self.drop_job(key)
        else:
            self.drop_pod(key, identity)

    def is_behind(self, listed: Listed) -> bool:
        """Whether an older version of an object is stored, or none."""
        version = self._version(listed)
        return version is None or _is_older(version, listed.resource_version)

    def _version(self, listed: Listed) -> str | None:
        key = listed.key
        if listed.kind == Kind.TRAININGJOB:
            stored = self._trainingjobs.get(key)
            return self._invalid.get(key, None if stored is None else stored.resource_version)
        state = self._jobs.get(key) if listed.kind == Kind.JOB else self._pods.get(key, {}).get(listed.name)
        return None if state is None else state.resource_version


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
