"""URLs that the administrator's rules refuse: no Job is created."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import decide
from vott_operator.decisions.plan import Plan

METADATA = "https://169.254.169.254/latest/meta-data"
FINALIZER = {"finalizers": ["vott.dev/last-word"]}


def plan_for(spec: dict[str, Any], **outgoing: Any) -> Plan:
    return decide(b.observed(b.trainingjob(spec, metadata=FINALIZER)), outgoing=outgoing)


def message(plan: Plan) -> str:
    """Message of the condition Failed, of a plan without a Job."""
    assert plan.create_job is None
    assert plan.status is not None
    assert (plan.status["phase"], plan.status["reason"]) == ("Failed", "AddressRefused")
    return str(plan.status["conditions"][0]["message"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"annotations": {"url": f"{METADATA}/a.csv"}}, "annotations is not allowed. 169.254.169.254 is refused: that address is link"),
        ({"annotations": {"url": "http://host/a.csv"}}, "http://host is refused: only https is allowed here. Use https, or ask"),
        ({"model": {"url": METADATA}}, "model is not allowed. 169.254.169.254"),
        ({"model": {"url": "https://2852039166/m"}}, "model is not allowed. 2852039166 (169.254.169.254)"),
        ({"parameters": {"initialWeights": f"{METADATA}/m.tgz"}}, "parameters.initialWeights is not allowed."),
        ({"parameters": {"initialWeights": "HTTP://[::ffff:a9fe:a9fe]/m.tgz"}}, "parameters.initialWeights is not allowed."),
        ({"parameters": {"imagesUrl": "https://10.0.0.1/images"}}, "parameters.imagesUrl is not allowed. 10.0.0.1 is refused"),
    ],
)  # fmt: skip
def test_a_refused_url_fails_the_training_without_a_job(spec: dict[str, Any], expected: str) -> None:
    plan = plan_for(spec)
    assert expected in message(plan)
    assert [(event.type, event.reason) for event in plan.events] == [("Warning", "AddressRefused")]


def test_the_settings_allow_what_the_defaults_refuse() -> None:
    spec = {"annotations": {"url": "http://10.1.2.3/a.csv"}, "model": {"url": "http://minio.store:9000/models"}}
    allowed: dict[str, Any] = {"allowHttp": True, "networks": ["10.1.2.0/24"], "hosts": ["minio.store"]}
    message(plan_for(spec))
    assert plan_for(spec, **allowed).create_job is not None
    assert "169.254" in message(plan_for({"model": {"url": METADATA}}, **allowed | {"networks": ["0.0.0.0/0"]}))


@pytest.mark.parametrize(
    "spec",
    [
        {"model": {"url": "s3://models/cats"}},
        {"parameters": {"initialWeights": "baked"}},
        {"parameters": {"initialWeights": "s3://models/old.tgz"}},
        {"parameters": {"imagesUrl": 5}},
        {"callback": {"url": METADATA}},
    ],
    ids=["a bucket", "weights by name", "weights in a bucket", "not a string", "the callback"],
)
def test_other_urls_are_checked_elsewhere(spec: dict[str, Any]) -> None:
    assert plan_for(spec).create_job is not None


@pytest.mark.parametrize(
    ("containers", "url", "own"),
    [
        (["models"], "http://10.0.0.9:10000/devstoreaccount1/models/cats", True),
        (["models"], "http://10.0.0.9/models", True),
        (["*"], "http://10.0.0.9/any", True),
        (["http://10.0.0.9/models"], "http://10.0.0.9/models/cats", True),
        (["http://10.0.0.9/models"], "http://10.0.0.9/models-of-others", False),
        (["models"], "http://10.0.0.9/a/b/models", False),
        (["models"], "http://10.0.0.9/models?sig=S", False),
        (["*"], "http://10.0.0.9/any?sig=S", False),
        (["models"], f"{METADATA}/models", False),
        (["latest"], METADATA, False),
        (["*"], METADATA, False),
        ([], "http://10.0.0.9/models", False),
    ],
)
def test_the_administrators_own_containers_need_no_rule(containers: list[str], url: str, own: bool) -> None:
    trainer = {
        "image": "t",
        "modelStore": {"containers": containers, "secretName": "s"},
        "workloadIdentity": {"clientId": "c"},
    }
    plan = decide(b.observed(b.trainingjob({"model": {"url": url}})), trainer=trainer)
    assert (plan.create_job is not None) == own


PRIVATE = "http://10.0.0.9"


@pytest.mark.parametrize(
    ("spec", "stores", "own"),
    [
        ({"annotations": {"url": f"{PRIVATE}/data/a.csv"}}, {"dataStore": {"containers": ["data"]}}, True),
        ({"annotations": {"url": f"{PRIVATE}/data/a.csv"}}, {"dataStore": {"containers": [f"{PRIVATE}/data"]}}, True),
        ({"annotations": {"url": f"{PRIVATE}/data/a.csv"}}, {"modelStore": {"containers": ["data"]}}, True),
        ({"annotations": {"url": f"{PRIVATE}/data/a.csv?sig=S"}}, {"dataStore": {"containers": ["data"]}}, False),
        ({"annotations": {"url": f"{PRIVATE}/other/a.csv"}}, {"dataStore": {"containers": ["data"]}}, False),
        ({"annotations": {"url": f"{METADATA}/data"}}, {"dataStore": {"containers": ["*"]}}, False),
        ({"parameters": {"imagesUrl": f"{PRIVATE}/data"}}, {"dataStore": {"containers": ["data"]}}, True),
        ({"parameters": {"initialWeights": f"{PRIVATE}/data"}}, {"dataStore": {"containers": ["data"]}}, False),
        ({"model": {"url": f"{PRIVATE}/data"}}, {"dataStore": {"containers": ["data"]}}, False),
    ],
)
def test_data_in_the_administrators_own_containers_needs_no_rule(
    spec: dict[str, Any], stores: dict[str, Any], own: bool
) -> None:
    store = {"secretName": "s"} | stores.get("modelStore", {})
    trainer = {"image": "t", "workloadIdentity": {"clientId": "c"}} | stores | {"modelStore": store}
    plan = decide(b.observed(b.trainingjob(spec)), trainer=trainer)
    assert (plan.create_job is not None) == own


def test_the_outcome_is_posted_all_the_same() -> None:
    status = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [b.condition("Failed", reason="AddressRefused")]}
    spec = {"annotations": {"url": METADATA}, "callback": {"url": "https://h/s"}}
    plan = decide(b.observed(b.trainingjob(spec, status, FINALIZER)))
    assert plan.callback is not None
    assert (plan.callback.state, plan.callback.message) == ("failed", "Message.")
