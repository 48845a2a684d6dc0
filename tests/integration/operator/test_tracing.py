"""The trace of a training: from the sender, over the message and the pod, to the callback."""

import json

from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.examples import REPORTED_MODEL, message
from tests.support.operator_harness import OperatorHarness
from tests.support.otlp_receiver import OtlpReceiver, attributes
from tests.support.raw_callback_receiver import RawCallbackReceiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_a_trace_leads_from_the_message_to_the_pod_and_the_callback(
    control_plane: ControlPlane, azurite: Azurite
) -> None:
    with (
        OtlpReceiver() as otlp,
        RawCallbackReceiver("127.0.0.1") as callbacks,
        OperatorHarness(control_plane, azurite, "traces", {"tracing": {"endpoint": otlp.url}}) as harness,
    ):
        operator = harness.operator()
        harness.send(message(status=callbacks.url, traceparent=TRACEPARENT))
        pod = harness.wait_pod()
        harness.run_pod(pod)
        name = harness.wait_phase("Running")["metadata"]["name"]
        assert harness.report(pod, name, {"model": REPORTED_MODEL}).ok
        harness.end_pod(pod, 0)
        harness.wait_condition("CallbackDelivered")
        assert operator.stop() == 0
        spans = otlp.spans
        log = harness.log.read_text()
        (container,) = harness.pods()[0]["spec"]["containers"]
    process, wait, train, post = (spans[name] for name in ("process message", "wait", "train", "post callback"))
    assert process.parent_span_id.hex() == "00f067aa0ba902b7"
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert {span.parent_span_id for span in (wait, train, post)} == {process.span_id}
    assert attributes(train)["k8s.pod.name"] == pod
    variables = {item["name"]: item.get("value") for item in container["env"]}
    assert variables["TRACEPARENT"] == f"00-{TRACE}-{process.span_id.hex()}-01"
    headers, body = callbacks.received[-1]
    assert json.loads(body)["state"] == "succeeded"
    assert headers["traceparent"] == f"00-{TRACE}-{post.span_id.hex()}-01"
    assert "Traceback" not in log
