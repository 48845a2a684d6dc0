"""What a plugin's parameters may be, whether a message says them or a queue's settings."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from vott_operator.api import constants as c
from vott_operator.api.urls import check_http_url, shows_credential, weights_url
from vott_operator.messages.json_text import texts

MAX_PARAMETERS = 100_000
"""Bytes of the parameters as JSON. They become one argument of the trainer, and Linux takes 128 KiB in one."""


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value)) > MAX_PARAMETERS:
        raise ValueError(f"is longer than {MAX_PARAMETERS} bytes as JSON; put what is large into a file")
    return value


def _check_urls(value: dict[str, Any]) -> dict[str, Any]:
    """Of the URLs among the parameters one may carry a credential, and has to be known for a URL; the other would show it."""
    _check_url(c.INITIAL_WEIGHTS, weights_url(value))
    _check_url(c.IMAGES_URL, images := value.get(c.IMAGES_URL))
    if isinstance(images, str) and "?" in images:
        raise ValueError(
            f'has an "{c.IMAGES_URL}" with a query; leave that out: the credential of the annotations\' URL is used for the images, too'
        )
    _check_shown(value)
    return value


def _check_shown(parameters: Mapping[str, Any]) -> None:
    """All but the URL of the weights is seen by whoever may read TrainingJobs or pods."""
    hidden = (c.INITIAL_WEIGHTS,) if weights_url(parameters) else ()
    for text, path in texts({name: value for name, value in parameters.items() if name not in hidden}):
        if shows_credential(text):
            raise ValueError(
                f'has at "{path}" a URL with a query, a fragment or a password, which everyone who reads the TrainingJob would see; '
                f'leave that out: of the parameters, "{c.INITIAL_WEIGHTS}" alone may carry a credential'
            )


def _check_url(name: str, url: object) -> None:
    try:
        if isinstance(url, str):
            check_http_url(url)
    except ValueError as error:
        raise ValueError(f'has an "{name}" that {error}') from None


Parameters = Annotated[dict[str, Any], AfterValidator(_check_size), AfterValidator(_check_urls)]
