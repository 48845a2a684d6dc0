"""Prometheus metrics, named as https://prometheus.io/docs/practices/naming/ recommends."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from vott_trainer.version import VERSION

DURATIONS = (10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0, 72 * 3600.0)


class Metrics:
    """The metrics of one daemon, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        Info("vott_train", "This daemon.", registry=registry).info({"version": VERSION})
        self.received = Counter(
            "vott_train_messages_received",
            "Messages received, repeated deliveries included.",
            ["queue"],
            registry=registry,
        )
        self.settled = Counter(
            "vott_train_messages_settled",
            "Messages settled: completed, dead_lettered, abandoned, or lock_lost (they are delivered again).",
            ["queue", "result"],
            registry=registry,
        )
        self.receive_errors = Counter(
            "vott_train_receive_errors", "Failed attempts to receive from a queue.", ["queue"], registry=registry
        )
        self.slots = Gauge("vott_train_slots", "Trainings that may run at a time.", registry=registry)
        self.running = Gauge("vott_train_trainings_running", "Trainings that run now.", registry=registry)
        self.attempts = Counter(
            "vott_train_training_attempts",
            "Attempts that ended: succeeded, interrupted, temporary or permanent failure.",
            ["result"],
            registry=registry,
        )
        self.trainings = Counter(
            "vott_train_trainings",
            "Trainings that ended: succeeded or failed.",
            ["plugin", "outcome"],
            registry=registry,
        )
        self.duration = Histogram(
            "vott_train_training_duration_seconds",
            "Time from the first receipt of the message to the outcome.",
            ["plugin", "outcome"],
            registry=registry,
            buckets=DURATIONS,
        )
        self.progress = Gauge(
            "vott_train_training_progress_ratio", "Progress of a running training.", ["training"], registry=registry
        )
        self.callbacks = Counter(
            "vott_train_callbacks", "Outcome callbacks: delivered, refused or given_up.", ["result"], registry=registry
        )
        self.callbacks_pending = Gauge(
            "vott_train_callbacks_pending", "Outcome callbacks that are still to be posted.", registry=registry
        )

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
