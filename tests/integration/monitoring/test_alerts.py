"""The chart's alerts, checked by promtool: each fires on its fault, not before, and no other does."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.prometheus import ALERTS, alerts, promtool

LEADER = 'vott_train_leader{job="a",instance="1"}'
STANDBY = 'vott_train_leader{job="a",instance="2"}'
TRANSITIONS = 'vott_train_lease_transitions{job="a",instance="1"}'
QUEUE_UP = 'vott_train_queue_up{job="a",queue="cats"}'
OLDEST = 'vott_train_queue_oldest_message_timestamp_seconds{job="a",queue="cats"}'
PAUSED = 'vott_train_intake_paused{job="a",queue="cats"}'
MESSAGE_ERRORS = 'vott_train_message_errors_total{job="a",queue="cats"}'
REJECTED = 'vott_train_messages_rejected_total{job="a",queue="cats",reason="NotJSON"}'
NAMESPACE_UP = 'vott_train_namespace_up{job="a",training_namespace="team"}'
LAST_SYNC = 'vott_train_last_sync_timestamp_seconds{job="a",training_namespace="team"}'
OK = 'vott_train_api_requests_total{job="a",verb="get",resource="jobs",code="2xx"}'
CONFLICT = 'vott_train_api_requests_total{job="a",verb="patch",resource="jobs",code="409"}'
FORBIDDEN = 'vott_train_api_requests_total{job="a",verb="get",resource="jobs",code="403"}'
CALLBACK = 'vott_train_callbacks_pending_since_timestamp_seconds{job="a"}'
RETRYING = 'vott_train_callbacks_total{job="a",reason="Retrying"}'
GIVEN_UP = 'vott_train_callbacks_total{job="a",reason="GivenUp"}'
PENDING = (
    'vott_train_trainingjobs_pending_since_timestamp_seconds{job="a",training_namespace="team",reason="Unschedulable"}'
)
STALLED = 'vott_train_trainingjobs_stalled{job="a",training_namespace="team"}'
SUCCEEDED = 'vott_train_trainingjobs_finished_total{job="a",training_namespace="team",outcome="succeeded"}'
FAILED = 'vott_train_trainingjobs_finished_total{job="a",training_namespace="team",outcome="failed"}'
CANCELLED = 'vott_train_trainingjobs_finished_total{job="a",training_namespace="team",outcome="cancelled"}'
USED = 'vott_train_gpu_seconds_total{job="a",training_namespace="team"}'
WASTED = 'vott_train_gpu_seconds_wasted_total{job="a",training_namespace="team"}'

ALWAYS_NOW = "0+60x400"
"""A time that is always now: the tests start at time 0 and have a value each minute."""
HEALTHY = {
    LEADER: "1x400",
    STANDBY: "0x400",
    TRANSITIONS: "3x400",
    QUEUE_UP: "1x400",
    OLDEST: ALWAYS_NOW,
    PAUSED: "0x400",
    MESSAGE_ERRORS: "0x30 1x370",
    REJECTED: "5x400",
    NAMESPACE_UP: "1x400",
    LAST_SYNC: ALWAYS_NOW,
    OK: "0+100x400",
    CONFLICT: "0+100x400",
    FORBIDDEN: "0+1x400",
    CALLBACK: ALWAYS_NOW,
    RETRYING: "0+10x400",
    GIVEN_UP: "7x400",
    PENDING: ALWAYS_NOW,
    STALLED: "0x400",
    SUCCEEDED: "0+1x400",
    FAILED: "0x30 0+1x4 4x365",
    CANCELLED: "0+5x400",
    USED: "0+60x400",
    WASTED: "0+6x400",
}


FAULT = 70
"""The minute of each fault."""


class Fault(NamedTuple):
    """Series that change at FAULT, and the minutes after it at which the alert does not fire yet, and fires."""

    series: dict[str, str]
    quiet_after: int
    fires_after: int


FAULTS = {
    "OperatorDown": Fault({name: f"{HEALTHY[name][0]}x69 stale" for name in (LEADER, STANDBY)}, 4, 6),
    # With one operator that ends again and again before it leads.
    "NoLeader": Fault({LEADER: "1x69" + " 0 stale _" * 80, STANDBY: "0x69 stale"}, 4, 7),
    "LeaderFlapping": Fault({TRANSITIONS: "3x69 4x5 5x5 6x5 7x230"}, 14, 19),
    "QueueUnreachable": Fault({QUEUE_UP: "1x69 0x250"}, 4, 6),
    "OldMessages": Fault({OLDEST: "0+60x70 4200x250"}, 19, 22),
    "MessagesFailing": Fault({MESSAGE_ERRORS: "0x69 0+1x250"}, 7, 11),
    "MessagesRejected": Fault({REJECTED: "5x69 6x250"}, -1, 1),
    "CapacityReached": Fault({PAUSED: "0x69 1x250", OLDEST: "0+60x70 4200x250"}, 29, 31),
    "NamespaceUnavailable": Fault({NAMESPACE_UP: "1x69 0x250", LAST_SYNC: "0+60x70 4200x250"}, 4, 30),
    "WatchBehind": Fault({LAST_SYNC: "0+60x70 4200x250"}, 19, 22),
    "APIErrors": Fault({FORBIDDEN: "0+1x69 70+50x250"}, 5, 16),
    "CallbacksBehind": Fault({CALLBACK: "0+60x70 4200x250"}, 19, 22),
    "CallbacksUndelivered": Fault({GIVEN_UP: "7x69 8x250"}, -1, 1),
    "TrainingJobsPending": Fault({PENDING: "0+60x70 4200x250"}, 64, 67),
    "TrainingJobsStalled": Fault({STALLED: "0x69 1x250"}, 4, 6),
    "TrainingsFailing": Fault({FAILED: "0x69 0+10x250", SUCCEEDED: "0x400", CANCELLED: "0x400"}, -1, 2),
    "GPUTimeWasted": Fault({WASTED: "0+6x69 420+30x250"}, 50, 120),
}


def test_promtool_accepts_the_rules() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", str(ALERTS), cwd=ALERTS.parent)


def test_each_alert_fires_on_its_fault_not_before_and_alone(tmp_path: Path) -> None:
    assert {rule["alert"].removeprefix("VottTrain") for rule in alerts()} == set(FAULTS)
    file = tmp_path / "tests.yaml"
    tests = [case(alert, fault) for alert, fault in FAULTS.items()]
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(file), cwd=tmp_path)


def case(alert: str, fault: Fault) -> dict[str, Any]:
    """A case of `promtool test rules`: which alerts fire before the fault, soon after it, and later."""
    firing = {"labels": f'{{alertname="VottTrain{alert}"}}', "value": 1}
    times: list[tuple[int, list[dict[str, Any]]]] = [
        (FAULT - 1, []),
        (FAULT + fault.quiet_after, []),
        (FAULT + fault.fires_after, [firing]),
    ]
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in (HEALTHY | fault.series).items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": samples,
            }
            for minute, samples in times
        ],
    }
