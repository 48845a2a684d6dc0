"""Messages that the tests send. Each case is a function, so that all can be sent at once and wait for GPUs, not for tests."""

from tests.e2e.training import HELLO
from tests.support.cluster_harness import ClusterHarness, Submission

VOTT_WEB_BLOB = "0b9e6d0a-57a5-4b8e-9a0e-3f3a5d0e7c11.tgz"
FILE_LINE = "https://images.example/{}.jpg,10,10,20,20,circle"


def detection_as_json(harness: ClusterHarness) -> Submission:
    """A detection training, in plain JSON."""
    return harness.send(parameters={"epochs": 2})


def hello_world_in_base64(harness: ClusterHarness) -> Submission:
    """A hello-world training, in base64."""
    return harness.send(plugin=HELLO, encode=True)


def as_vott_web_sends_it(harness: ClusterHarness) -> Submission:
    """Only the three URLs; `model` is a write-only SAS of a blob that does not exist yet."""
    return harness.send(model=harness.storage.blob_url(harness.container(), VOTT_WEB_BLOB, "w"))


def to_a_folder(harness: ClusterHarness) -> Submission:
    """A model URL that ends with a slash: single files instead of an archive."""
    url, _, sas = harness.model_url().partition("?")
    return harness.send(plugin=HELLO, model=f"{url}/cats/?{sas}")


def over_service_bus(harness: ClusterHarness) -> Submission:
    """A hello-world training, sent to the Service Bus queue."""
    return harness.send_to_service_bus(plugin=HELLO)


def forbidden_plugin_over_service_bus(harness: ClusterHarness) -> Submission:
    """A plugin that is not allowed, sent to the Service Bus queue."""
    return harness.send_to_service_bus(plugin="mine-bitcoins")


def invalid_json(harness: ClusterHarness) -> Submission:
    """Truncated JSON."""
    return harness.send_text('{"annotations": "https://images.example/a.csv", "mod')


def missing_model(harness: ClusterHarness) -> Submission:
    """No `model`, but a callback URL."""
    return harness.send(model=None)


def ftp_annotations(harness: ClusterHarness) -> Submission:
    """An ftp URL as annotations."""
    return harness.send(annotations="ftp://images.example/annotations.csv")


def forbidden_annotations(harness: ClusterHarness) -> Submission:
    """Annotations with an invalid SAS signature: 403."""
    url, _, _ = harness.upload("annotations.csv", FILE_LINE.format(1)).partition("&sig=")
    return harness.send(plugin=HELLO, annotations=f"{url}&sig=d3Jvbmc%3D")


def missing_annotations(harness: ClusterHarness) -> Submission:
    """Annotations that don't exist: 404."""
    return harness.send(plugin=HELLO, annotations=harness.storage.blob_url(harness.container(), "annotations.csv"))


def broken_line(harness: ClusterHarness) -> Submission:
    """Annotations with only four fields in line 3."""
    lines = [FILE_LINE.format(1), FILE_LINE.format(2), "https://images.example/3.jpg,10,10,circle"]
    return harness.send(annotations=harness.upload("annotations.csv", "\n".join(lines)))


def no_usable_image(harness: ClusterHarness) -> Submission:
    """Annotations of a missing image."""
    url = harness.storage.blob_url(harness.container(), "missing.jpg")
    return harness.send(annotations=harness.upload("annotations.csv", f"{url},10,10,20,20,circle\n"))


def refused_upload(harness: ClusterHarness) -> Submission:
    """A model container with a read-only SAS."""
    return harness.send(plugin=HELLO, model=harness.model_url("r"))
