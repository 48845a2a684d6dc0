"""URL templates in a queue's settings: {projectId} and {requestId} stand for a message's ids."""

from collections.abc import Callable
from string import Formatter
from urllib.parse import urlsplit

PLACEHOLDERS = ("projectId", "requestId")


def check_template(template: str, check_url: Callable[[str], str]) -> str:
    """Return `template` if ids can be filled in and `check_url` accepts it; else raise ValueError."""
    _check_placeholders(template)
    host = urlsplit(check_url(template)).netloc
    if "{" in host:
        # Otherwise a message could choose the host.
        raise ValueError("has a placeholder in the host; use it only in the path or the query")
    return template


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
