"""Every message that the tests send, so that all can be sent at once and their trainings wait for GPUs, not for tests."""

from collections.abc import Callable
from typing import TypeAlias

from tests.support.lab import Lab, Submission

Scenario: TypeAlias = Callable[[Lab], Submission]

HELLO = "hello-world"
VOTT_WEB_BLOB = "0b9e6d0a-57a5-4b8e-9a0e-3f3a5d0e7c11.tgz"
FILE_LINE = "https://images.example/{}.jpg,10,10,20,20,circle"


def detection_as_json(lab: Lab) -> Submission:
    """Real training, plain JSON."""
    return lab.send(parameters={"epochs": 2})


def hello_world_in_base64(lab: Lab) -> Submission:
    """No torch, JSON in base64."""
    return lab.send(plugin=HELLO, encode=True)


def as_vott_web_sends_it(lab: Lab) -> Submission:
    """Raw JSON with nothing but the three URLs; `model` is a write-only SAS of one blob that is not there yet."""
    return lab.send(model=lab.storage.blob_url(lab.container(), VOTT_WEB_BLOB, "w"))


def to_a_folder(lab: Lab) -> Submission:
    """A model URL that ends with a slash: single files instead of an archive."""
    place, _, sas = lab.model_url().partition("?")
    return lab.send(plugin=HELLO, model=f"{place}/cats/?{sas}")


def over_service_bus(lab: Lab) -> Submission:
    """No torch, from the Service Bus queue."""
    return lab.send_to_service_bus(plugin=HELLO)


def forbidden_plugin_over_service_bus(lab: Lab) -> Submission:
    """A plugin that the administrator does not allow, from the Service Bus queue."""
    return lab.send_to_service_bus(plugin="mine-bitcoins")


def invalid_json(lab: Lab) -> Submission:
    """A text that was cut off."""
    return lab.send_text('{"annotations": "https://images.example/a.csv", "mod')


def missing_model(lab: Lab) -> Submission:
    """A message without `model`, but with a callback URL."""
    return lab.send(model=None)


def ftp_annotations(lab: Lab) -> Submission:
    """Annotations at a URL that is not http(s)."""
    return lab.send(annotations="ftp://images.example/annotations.csv")


def forbidden_annotations(lab: Lab) -> Submission:
    """Annotations behind a SAS with a wrong signature: 403."""
    url, _, _ = lab.upload("annotations.csv", FILE_LINE.format(1)).partition("&sig=")
    return lab.send(plugin=HELLO, annotations=f"{url}&sig=d3Jvbmc%3D")


def missing_annotations(lab: Lab) -> Submission:
    """Annotations that are not there: 404."""
    return lab.send(plugin=HELLO, annotations=lab.storage.blob_url(lab.container(), "annotations.csv"))


def broken_line(lab: Lab) -> Submission:
    """Annotations whose third line has four fields."""
    lines = [FILE_LINE.format(1), FILE_LINE.format(2), "https://images.example/3.jpg,10,10,circle"]
    return lab.send(annotations=lab.upload("annotations.csv", "\n".join(lines)))


def no_usable_image(lab: Lab) -> Submission:
    """Annotations of images that can't be fetched."""
    url = lab.storage.blob_url(lab.container(), "missing.jpg")
    return lab.send(annotations=lab.upload("annotations.csv", f"{url},10,10,20,20,circle\n"))


def refused_upload(lab: Lab) -> Submission:
    """A model container whose SAS does not allow to write."""
    return lab.send(plugin=HELLO, model=lab.model_url("r"))
