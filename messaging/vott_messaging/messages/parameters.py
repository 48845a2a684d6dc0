"""A plugin's parameters, in messages and in a queue's settings: their limits, and which may be URLs or carry a credential."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from vott_guard.urls import check_folder
from vott_messaging.messages.json_values import count_values, texts
from vott_messaging.urls import check_http_url, shows_credential

INITIAL_WEIGHTS = "initialWeights"
"""The only parameter that may be a URL with a credential; also its key in the Secret with the URLs."""
IMAGES_URL = "imagesUrl"
WEIGHTS_NAME = re.compile(r"[A-Za-z0-9._-]*")
"""Name of weights in the trainer image. Anything else is treated as a URL, which may carry a credential."""
MAX_PARAMETERS_BYTES = 100_000
"""As JSON. They become one argument of the trainer, and Linux limits an argument to 128 KiB."""

MAX_PARAMETERS_VALUES = 2_000
"""With those within others. In memory an empty object has thirty times its length as JSON."""


def weights_url(parameters: Mapping[str, Any]) -> str | None:
    """The parameter initialWeights if it is a URL; None if it is absent or a name."""
    weights = parameters.get(INITIAL_WEIGHTS)
    return weights if isinstance(weights, str) and not WEIGHTS_NAME.fullmatch(weights.strip()) else None


def _check_size(parameters: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(parameters)) > MAX_PARAMETERS_BYTES:
        raise ValueError(f"is longer than {MAX_PARAMETERS_BYTES} bytes as JSON; put large values into a file")
    values = count_values(parameters)
    if values > MAX_PARAMETERS_VALUES:
        raise ValueError(
            f"has {values} values, with those in its lists and objects; {MAX_PARAMETERS_VALUES} are allowed. Put long lists into a file"
        )
    return parameters


def _check_urls(parameters: dict[str, Any]) -> dict[str, Any]:
    """Check the two URLs among the parameters, of which only the initial weights may carry a credential."""
    _check(INITIAL_WEIGHTS, weights_url(parameters), check_http_url)
    _check(IMAGES_URL, parameters.get(IMAGES_URL), check_folder)
    _check_no_credentials(parameters)
    return parameters


def _check_no_credentials(parameters: Mapping[str, Any]) -> None:
    """Refuse credentials in parameters, which are not secret: in Kubernetes, anyone who may read TrainingJobs or pods sees them."""
    hidden = (INITIAL_WEIGHTS,) if weights_url(parameters) else ()
    for text, path in texts({name: value for name, value in parameters.items() if name not in hidden}):
        if shows_credential(text):
            raise ValueError(
                f'has at "{path}" a URL with a query, a fragment or a password, which anyone who reads the TrainingJob sees; '
                f'remove it: of the parameters, only "{INITIAL_WEIGHTS}" may carry a credential'
            )


def _check(name: str, url: object, check: Callable[[str], str]) -> None:
    try:
        if isinstance(url, str) and url.strip():  # the trainer leaves out an empty one
            check(url)
    except ValueError as error:
        raise ValueError(f'has an "{name}" that {error}') from None


Parameters = Annotated[dict[str, Any], AfterValidator(_check_size), AfterValidator(_check_urls)]
