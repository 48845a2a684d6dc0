"""Command-line arguments of the trainer container (docs/trainer-contract.md)."""

import json

from vott_messaging.messages.parameters import INITIAL_WEIGHTS, weights_url
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects.url_secret import pod_url_fields
from vott_operator.settings.pod import PodSettings

FLAGS = {"annotations": "--annotations", "model": "--model", "callback": "--status"}


def arguments(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    """The trainer's arguments. With a Secret, URLs are passed as @FILE below its mount."""
    spec = trainingjob.spec
    parameters = dict(spec.parameters)
    result = ["--plugin", spec.plugin]
    if spec.url_secret_ref and weights_url(parameters):
        del parameters[INITIAL_WEIGHTS]
        result += ["--initial-weights", f"@{c.URLS_DIR}/{INITIAL_WEIGHTS}"]
    result += ["--parameters", json.dumps(parameters, separators=(",", ":"))]
    for name in pod_url_fields(trainingjob, settings):
        result += [FLAGS[name], f"@{c.URLS_DIR}/{name}" if spec.url_secret_ref else getattr(spec, name).url]
    result += ["--trainingjob", str(trainingjob.key)]
    # Kubernetes expands $(NAME) in arguments; a message must not read the environment by it.
    return [argument.replace("$", "$$") for argument in result]
