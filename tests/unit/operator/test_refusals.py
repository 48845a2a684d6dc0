"""URLs that the rules refuse by themselves: no Job is made for them."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import decide
from vott_operator.decisions.plan import Plan

METADATA = "https://169.254.169.254/latest/meta-data"
FINALIZER = {"finalizers": ["vott.dev/last-word"]}


def decided(spec: dict[str, Any], **outgoing: Any) -> Plan:
    return decide(b.observed(b.trainingjob(spec, metadata=FINALIZER)), outgoing=outgoing)


def sentence(plan: Plan) -> str:
    """What is said of a plan that makes no Job."""
    assert plan.create_job is None
    assert plan.status is not None
    assert (plan.status["phase"], plan.status["reason"]) == ("Failed", "AddressRefused")
    return str(plan.status["conditions"][0]["message"])


@pytest.mark.parametrize(
    ("spec", "says"),
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
def test_a_url_that_is_not_allowed_ends_the_training_before_its_job(spec: dict[str, Any], says: str) -> None:
    plan = decided(spec)
    assert says in sentence(plan)
    assert [(note.type, note.reason) for note in plan.events] == [("Warning", "AddressRefused")]


def test_the_administrators_lists_open_what_the_defaults_refuse() -> None:
    spec = {"annotations": {"url": "http://10.1.2.3/a.csv"}, "model": {"url": "http://minio.store:9000/models"}}
    opened: dict[str, Any] = {"allowHttp": True, "networks": ["10.1.2.0/24"], "hosts": ["minio.store"]}
    sentence(decided(spec))
    assert decided(spec, **opened).create_job is not None
    assert "169.254" in sentence(decided({"model": {"url": METADATA}}, **opened | {"networks": ["0.0.0.0/0"]}))


@pytest.mark.parametrize(
    "spec",
    [
        {"model": {"url": "s3://models/cats"}},
        {"parameters": {"initialWeights": "baked"}},
        {"parameters": {"initialWeights": "s3://models/old.tgz"}},
        {"parameters": {"imagesUrl": 5}},
        {"callback": {"url": METADATA}},
    ],
    ids=["a bucket", "a mere name", "weights in a bucket", "no URL", "the callback"],
)
def test_what_the_rules_are_not_about_is_left_to_whom_it_concerns(spec: dict[str, Any]) -> None:
    assert decided(spec).create_job is not None


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
def test_a_place_of_the_administrators_own_is_under_no_rule(containers: list[str], url: str, own: bool) -> None:
    trainer = {
        "image": "t",
        "modelStore": {"containers": containers, "secretName": "s"},
        "workloadIdentity": {"clientId": "c"},
    }
    plan = decide(b.observed(b.trainingjob({"model": {"url": url}})), trainer=trainer)
    assert (plan.create_job is not None) == own


def test_its_callback_is_told_all_the_same() -> None:
    ended = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [b.condition("Failed", reason="AddressRefused")]}
    spec = {"annotations": {"url": METADATA}, "callback": {"url": "https://h/s"}}
    plan = decide(b.observed(b.trainingjob(spec, ended, FINALIZER)))
    assert plan.callback is not None
    assert (plan.callback.state, plan.callback.message) == ("failed", "Message.")
