"""URL templates in a queue's settings: {projectId} and {requestId} stand for a message's ids, such as VoTT-web's."""

import unicodedata
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any
from urllib.parse import quote, urlsplit

from vott_messaging.messages.json_values import FieldError, type_name

PLACEHOLDERS = ("projectId", "requestId")
MAX_ID_LENGTH = 128


def check_template(template: str, check_url: Callable[[str], str]) -> str:
    """Return `template` if ids can be filled in and `check_url` accepts it; else raise ValueError."""
    _check_placeholders(template)
    host = urlsplit(check_url(template)).netloc
    if "{" in host:
        # Otherwise a message could choose the host.
        raise ValueError("has a placeholder in the host; use it only in the path or the query")
    return template


def placeholders_in(template: str) -> list[str]:
    """The ids that `template` needs."""
    return [name for name in PLACEHOLDERS if f"{{{name}}}" in template]


def fill_in(template: str, setting: str, fields: Mapping[str, Any], check_url: Callable[[str], str]) -> str:
    """The URL for the ids in `fields`. Raises FieldError, which names the field or the `setting`."""
    url = template
    for name in placeholders_in(template):
        if fields.get(name) is None:
            raise FieldError(f'Field "{name}" is missing: send it for the setting {setting}, or send "model"')
        url = url.replace(f"{{{name}}}", quote(_check_id(name, fields[name]), safe=""))
    try:
        return check_url(url)
    except ValueError as error:
        raise FieldError(f"The setting {setting}, filled in with this message's ids, {error}") from None


def _check_placeholders(template: str) -> None:
    hint = f"the placeholders are {' and '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError:
        raise ValueError(f"has an unmatched brace; {hint}") from None
    if "{{" in template or "}}" in template:
        raise ValueError(f"has double braces; {hint}")
    for name, spec, conversion in fields:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            suffix = f"{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
            raise ValueError(f"has the unknown placeholder {{{name}{suffix}}}; {hint}")


def _check_id(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FieldError(f'Field "{name}" is {type_name(value)}; send a string or an integer')
    text = str(value)
    has_control = any(unicodedata.category(char) == "Cc" for char in text)
    if not 1 <= len(text) <= MAX_ID_LENGTH or text in (".", "..") or has_control:
        rule = f'1 to {MAX_ID_LENGTH} characters, without control characters, and not "." or ".."'
        raise FieldError(f'Field "{name}" is not a usable id: send {rule}')
    return text
