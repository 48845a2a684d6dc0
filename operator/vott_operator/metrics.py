"""The operator's Prometheus metrics, named as https://prometheus.io/docs/practices/naming/ recommends.

They belong to the process, as in other Prometheus clients, so that any module can count without one being passed to it.
`monitoring/` has those that are read from the operator's state.

Every label has few values: queues and namespaces come from the settings, the rest from lists in the code. None has a URL, a
credential, or the name of a message or a TrainingJob.
"""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from vott_messaging import reasons

# Without the creation time of each counter: twice the series, and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

SHORT = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets of requests and passes, in seconds."""
LONG = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
"""Buckets of waiting, in seconds."""

REJECTION_REASONS = tuple(value for name, value in vars(reasons).items() if name.isupper())
RESULTS = ("created", "duplicate", "rejected", "given_back", "lock_lost", "failed")
OUTCOMES = ("succeeded", "failed", "cancelled")
CAUSES = ("failure", "interruption")
CALLBACK_REASONS = ("Delivered", "Retrying", "Refused", "GivenUp")

BUILD = Info("vott_train_build", "The version of the operator and of Python.", registry=REGISTRY)
LEADER = Gauge("vott_train_leader", "1 while this operator leads, 0 while it stands by.", registry=REGISTRY)
LEASE_TRANSITIONS = Gauge(
    "vott_train_lease_transitions", "How often the Lease got another holder, as it says itself.", registry=REGISTRY
)

# --------------------------------------------------------------------------------------------------------------- queues

QUEUE_UP = Gauge(
    "vott_train_queue_up",
    "1 if the last request to receive from the queue succeeded, else 0.",
    ["queue"],
    registry=REGISTRY,
)
RECEIVE_ERRORS = Counter(
    "vott_train_receive_errors", "Failed requests to receive from the queue.", ["queue"], registry=REGISTRY
)
QUEUE_MESSAGES = Gauge(
    "vott_train_queue_messages",
    "Messages in the queue, locked ones included; absent where the service does not tell (Service Bus).",
    ["queue"],
    registry=REGISTRY,
)
QUEUE_OLDEST = Gauge(
    "vott_train_queue_oldest_message_timestamp_seconds",
    "When the oldest message was sent; absent without a message.",
    ["queue"],
    registry=REGISTRY,
)
INTAKE_PAUSED = Gauge(
    "vott_train_intake_paused",
    "1 while the operator receives nothing from the queue, because it has enough TrainingJobs that are unfinished or wait for quota.",
    ["queue"],
    registry=REGISTRY,
)
MESSAGES_IN_FLIGHT = Gauge(
    "vott_train_messages_in_flight", "Messages that were received and are not settled.", ["queue"], registry=REGISTRY
)
MESSAGES_RECEIVED = Counter(
    "vott_train_messages_received",
    "Messages received, repeated deliveries included.",
    ["queue"],
    registry=REGISTRY,
)
MESSAGES_SETTLED = Counter(
    "vott_train_messages_settled",
    "What became of received messages: created (a TrainingJob), duplicate, rejected (dead-lettered); given_back, lock_lost or"
    " failed (they are delivered again).",
    ["queue", "result"],
    registry=REGISTRY,
)
MESSAGES_REJECTED = Counter(
    "vott_train_messages_rejected", "Messages dead-lettered.", ["queue", "reason"], registry=REGISTRY
)
MESSAGE_ERRORS = Counter(
    "vott_train_message_errors",
    "Failed attempts to create the TrainingJob of a message; each is followed by another.",
    ["queue"],
    registry=REGISTRY,
)
INTAKE_LATENCY = Histogram(
    "vott_train_intake_latency_seconds",
    "Time from the sending of a message until its TrainingJob exists.",
    ["queue"],
    buckets=LONG,
    registry=REGISTRY,
)

# --------------------------------------------------------------------------------------------------------- TrainingJobs

TRAININGJOBS_FINISHED = Counter(
    "vott_train_trainingjobs_finished",
    "TrainingJobs that ended: succeeded, failed or cancelled.",
    ["training_namespace", "outcome"],
    registry=REGISTRY,
)
TRAININGJOB_RESTARTS = Counter(
    "vott_train_trainingjob_restarts",
    "Trainings that stopped and start again, after a failure or an interruption (eviction, drain, lost node).",
    ["training_namespace", "cause"],
    registry=REGISTRY,
)
TRAININGJOB_WAIT = Histogram(
    "vott_train_trainingjob_wait_seconds",
    "Time from the creation of a TrainingJob until it first runs.",
    ["training_namespace"],
    buckets=LONG,
    registry=REGISTRY,
)
GPU_SECONDS = Counter(
    "vott_train_gpu_seconds",
    "GPU time of the trainers that ended: run time of the container times its GPUs.",
    ["training_namespace"],
    registry=REGISTRY,
)
GPU_SECONDS_WASTED = Counter(
    "vott_train_gpu_seconds_wasted",
    "GPU time that interruptions wasted: since the last checkpoint, or all without one.",
    ["training_namespace"],
    registry=REGISTRY,
)
CALLBACKS = Counter(
    "vott_train_callbacks",
    "Attempts to post an outcome, by the reason that the condition CallbackDelivered got.",
    ["reason"],
    registry=REGISTRY,
)

# ------------------------------------------------------------------------------------------------- the operator's work

WORKQUEUE_DEPTH = Gauge("vott_train_workqueue_depth", "Keys that wait for a worker.", ["name"], registry=REGISTRY)
WORKQUEUE_WAIT = Histogram(
    "vott_train_workqueue_queue_duration_seconds",
    "Time that a key waits for a worker.",
    ["name"],
    buckets=SHORT,
    registry=REGISTRY,
)
WORKQUEUE_WORK = Histogram(
    "vott_train_workqueue_work_duration_seconds",
    "Duration of one pass: a reconciliation, or a callback.",
    ["name"],
    buckets=SHORT,
    registry=REGISTRY,
)
WORKQUEUE_ERRORS = Counter(
    "vott_train_workqueue_errors", "Passes that failed and are retried.", ["name"], registry=REGISTRY
)
NAMESPACE_UP = Gauge(
    "vott_train_namespace_up",
    "1 if the operator could last list the objects of the namespace; 0 if not: it is gone, access is refused, or the API server fails.",
    ["training_namespace"],
    registry=REGISTRY,
)
LAST_SYNC = Gauge(
    "vott_train_last_sync_timestamp_seconds",
    "When the operator last knew all objects of the namespace, from its watches and lists.",
    ["training_namespace"],
    registry=REGISTRY,
)
API_REQUESTS = Counter(
    "vott_train_api_requests",
    "Requests to the Kubernetes API, without those of the watches. code is 2xx, another HTTP status, or none without an answer.",
    ["verb", "resource", "code"],
    registry=REGISTRY,
)
API_DURATION = Histogram(
    "vott_train_api_request_duration_seconds",
    "Duration of requests to the Kubernetes API.",
    ["verb", "resource"],
    buckets=SHORT,
    registry=REGISTRY,
)


def declare(queues: Iterable[str], namespaces: Iterable[str]) -> None:
    """Start the counters of the settings' queues and namespaces at 0: Prometheus sees no increase in a counter that appears with 1."""
    for queue in queues:
        for counter in (RECEIVE_ERRORS, MESSAGES_RECEIVED, MESSAGE_ERRORS, MESSAGES_IN_FLIGHT, INTAKE_LATENCY):
            counter.labels(queue)
        for result in RESULTS:
            MESSAGES_SETTLED.labels(queue, result)
        for reason in REJECTION_REASONS:
            MESSAGES_REJECTED.labels(queue, reason)
    for namespace in namespaces:
        for metric in (TRAININGJOB_WAIT, GPU_SECONDS, GPU_SECONDS_WASTED):
            metric.labels(namespace)
        for outcome in OUTCOMES:
            TRAININGJOBS_FINISHED.labels(namespace, outcome)
        for cause in CAUSES:
            TRAININGJOB_RESTARTS.labels(namespace, cause)
    for reason in CALLBACK_REASONS:
        CALLBACKS.labels(reason)
