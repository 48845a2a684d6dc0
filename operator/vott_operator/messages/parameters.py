"""Limits of a plugin's parameters, in messages and in a queue's settings: size, URLs and credentials."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from vott_guard.urls import check_folder
from vott_operator.api import constants as c
from vott_operator.api.urls import check_http_url, shows_credential, weights_url
from vott_operator.messages.json_values import texts

MAX_PARAMETERS_BYTES = 100_000
"""As JSON. They become one argument of the trainer, and Linux limits an argument to 128 KiB."""


def _check_size(parameters: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(parameters)) > MAX_PARAMETERS_BYTES:
        raise ValueError(f"is longer than {MAX_PARAMETERS_BYTES} bytes as JSON; put large values into a file")
    return parameters


def _check_urls(parameters: dict[str, Any]) -> dict[str, Any]:
    """Check the two URLs among the parameters, of which only the initial weights may carry a credential."""
    _check(c.INITIAL_WEIGHTS, weights_url(parameters), check_http_url)
    _check(c.IMAGES_URL, parameters.get(c.IMAGES_URL), check_folder)
    _check_no_credentials(parameters)
    return parameters


def _check_no_credentials(parameters: Mapping[str, Any]) -> None:
    """Refuse credentials in parameters, which anyone who may read TrainingJobs or pods sees."""
    hidden = (c.INITIAL_WEIGHTS,) if weights_url(parameters) else ()
    for text, path in texts({name: value for name, value in parameters.items() if name not in hidden}):
        if shows_credential(text):
            raise ValueError(
                f'has at "{path}" a URL with a query, a fragment or a password, which anyone who reads the TrainingJob sees; '
                f'remove it: of the parameters, only "{c.INITIAL_WEIGHTS}" may carry a credential'
            )


def _check(name: str, url: object, check: Callable[[str], str]) -> None:
    try:
        if isinstance(url, str) and url.strip():  # the trainer leaves out an empty one
            check(url)
    except ValueError as error:
        raise ValueError(f'has an "{name}" that {error}') from None


Parameters = Annotated[dict[str, Any], AfterValidator(_check_size), AfterValidator(_check_urls)]
