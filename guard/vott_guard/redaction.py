"""Redaction: URLs without their credentials; text without URL queries, user information, keys and registered secrets.

A SAS or presigned URL carries its credential in the query, a webhook often in the path. Free text comes from anyone and may be JSON, broken
JSON or no text at all, so everything that looks like a query is cut, in a URL or not: too much rather than too little.
"""

import json
import re
from collections.abc import Set
from urllib.parse import parse_qsl, quote, unquote, urlsplit

REDACTED = "***"
UNREADABLE = "(unreadable URL)"

# Linear in the text's length: each pattern starts at few positions and consumes what it has scanned.
# A string without a closing quote ends with the text; else each quote in it would start another scan of the rest.
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_LAYOUT = {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_LENIENT_JSON = json.JSONDecoder(strict=False)  # accepts control characters in a string
_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*:/[\t\r\n]*/", re.IGNORECASE)
_WORD = re.compile(r'[^\s"<>]+')
_AUTHORITY = re.compile(r":(?:\\?/){2}")
_AUTHORITY_ONLY = re.compile(r"(:(?:\\?/){2})[^/]*\Z")
_URL_END = re.compile(r"[?#]|\\u00(?:3f|23)", re.IGNORECASE)
_ENCODED_AUTHORITY = re.compile(r"%(?:25)*3a(?:%(?:25)*2f){2}", re.IGNORECASE)
_ENCODED_URL_END = re.compile(r"[?#]|(?:\\u00|%(?:25)*)(?:3f|23)", re.IGNORECASE)
_QUESTION_MARK = re.compile(r"\?|(?:\\u00|%(?:25)*)3f", re.IGNORECASE)
_FILE_NAME = re.compile(r"(?:[^/=&;%]|%(?!(?:25)*(?:3d|26)))*\.[a-z0-9]{1,5}", re.IGNORECASE)
_HIDEABLE = re.compile(r"[^\W_]|\*")  # punctuation alone is no query
_CLOSING_QUOTE = re.compile(r"'[\])},;:.]*\Z")
_USER_INFO = re.compile(r"(:(?:\\?/){2})[^\s/]*@")
_ENCODED_MARK = re.compile("%3f", re.IGNORECASE)
_ENCODED_KEY = re.compile("(?:sig|signature|token)%3d", re.IGNORECASE)
_URL_USER_INFO = re.compile(r"((?:\A[^/]*|:)/[\t\r\n]*/)[^/]*@")
_KEYS = "sig|AccountKey|SharedAccessKey|SharedAccessSignature"  # of SAS and of connection strings
_KEY_NAME = rf"(?<![A-Za-z])({_KEYS})"
_KEY_EQUALS = re.compile(rf"{_KEY_NAME}\s*(=|%(?:25)*3d)\s*", re.IGNORECASE)
_KEY = re.compile(rf"{_KEY_NAME}(=|%(?:25)*3d)([\"']?)([^\s\"&;<>]+)", re.IGNORECASE)
_SECRET_FIELD = re.compile("sig|token|key|secret|passw|credential", re.IGNORECASE)
_SHORTEST_SECRET = 8  # characters; shorter ones would match ordinary text
_secrets: set[str] = set()  # of this process


def register_secrets(*secrets: str) -> None:
    """Make `redact` replace these texts anywhere."""
    _secrets.update(
        form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in (secret, quote(secret, safe=""))
    )


def register_url_credentials(url: str) -> None:
    """Make `redact` replace the credentials of `url` anywhere: its query, and each signature or token in it."""
    query = url.partition("#")[0].partition("?")[2]
    fields = parse_qsl(query)
    raw = [field.partition("=")[2] for field in query.split("&")]  # in the sender's own encoding
    values = [value for name, value in fields if _SECRET_FIELD.search(name)]
    register_secrets(query, unquote(query), *values, *(value for value in raw if unquote(value) in values))


def register_webhook(url: str) -> None:
    """Make `redact` replace everything after the host of `url` anywhere: a webhook's path may be its credential."""
    register_url_credentials(url)
    path = url.partition("://")[2].partition("#")[0].partition("?")[0].partition("/")[2]
    register_secrets(path, unquote(path))  # as a whole: single segments may be ordinary words


def register_connection_string(text: str) -> None:
    """Make `redact` replace the keys of an Azure connection string anywhere."""
    for field in text.split(";"):
        name, _, value = field.partition("=")
        if re.fullmatch(_KEYS, name.strip(), re.IGNORECASE):
            register_secrets(value)


def redact(text: str, *, cut: str = "") -> str:
    """Redact free text: URLs lose query, fragment and user information; keys and registered secrets become `***`.

    `cut` stands in for each query and fragment.
    """
    text = _JSON_STRING.sub(lambda match: _redact_json_string(match[0], cut), _redact_registered(text))
    text = _KEY_EQUALS.sub(r"\1\2", text)  # one word, which is cut or kept as a whole
    text = _WORD.sub(lambda match: _without_query(match[0], cut), text)
    return _redact_keys(_USER_INFO.sub(r"\1", text))


def redact_secrets(text: str) -> str:
    """Replace keys and registered secrets; leave URLs and question marks."""
    return _redact_keys(_KEY_EQUALS.sub(r"\1\2", _redact_registered(text)))


def redact_url(url: str) -> str:
    """Redact exactly one URL: cut query, fragment and user information.

    Unlike in free text the end of the query is known, spaces and quotes in it included.
    """
    if _AUTHORITY.search(url):
        try:
            urlsplit(url)
        except ValueError:
            return UNREADABLE
    kept = re.split("[?#]", url, maxsplit=1)[0]
    if (mark := _ENCODED_MARK.search(kept)) and _ENCODED_KEY.search(kept, mark.end()):
        kept = kept[: mark.start()]  # a file that is named after a link, with its SAS
    return _URL_USER_INFO.sub(r"\1", kept)


def webhook_origin(url: str) -> str:
    """Scheme and host of a URL: all that may be shown of a webhook, whose path may be its credential."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return UNREADABLE
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme and parts.netloc else UNREADABLE


def _redact_registered(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def _redact_keys(text: str) -> str:
    return _KEY.sub(lambda match: f"{match[1]}{match[2]}{match[3]}{REDACTED}{_closing_quote(match[4])}", text)


def _redact_json_string(literal: str, cut: str) -> str:
    """Redact the decoded string: escapes may hide a URL, and the closing quote shows where a URL with spaces ends."""
    try:
        value = _LENIENT_JSON.decode(literal)
    except ValueError:
        return literal
    is_url, has_query = _URL.match(value), re.search("[?#]", value)
    redacted = redact(redact_url(value)) + (cut if has_query else "") if is_url else redact(value, cut=cut)
    if redacted == value:
        return literal
    return _json_string(redacted, {char for char in _LAYOUT.values() if char in literal})


def _json_string(text: str, raw: Set[str]) -> str:
    """Encode a string; characters of `raw` stay unescaped: a single quotation mark in free text starts a string of many lines."""
    printable = all(char.isprintable() or char in raw for char in text)
    encoded = json.dumps(text, ensure_ascii=not printable)
    return _ESCAPE.sub(lambda match: char if (char := _LAYOUT.get(match[0], "")) in raw else match[0], encoded)


def _without_query(word: str, cut: str) -> str:
    """Cut what may be a query from a word of free text; keep a quote that closes it."""
    if (end := _query_start(word)) == len(word):
        return word
    kept, query = word[:end], word[end:]
    if "@" in query:  # a password may hold the mark: https://user:pass#word@host
        kept = _AUTHORITY_ONLY.sub(r"\1", kept)
    return kept + cut + _closing_quote(query)


def _query_start(word: str) -> int:
    """Return the index of the query or fragment, the word's length where there is none."""
    authority = _AUTHORITY.search(word)
    ends = _ENCODED_URL_END if _ENCODED_AUTHORITY.search(word) else _URL_END if authority else None
    if ends and (end := ends.search(word)):
        word = word[: end.start()]
    if not (mark := _QUESTION_MARK.search(word)) or not _HIDEABLE.search(word, mark.end()):
        return len(word)
    in_path = mark[0].startswith("%") and authority and "/" in word[authority.end() : mark.start()]
    return len(word) if in_path and _FILE_NAME.fullmatch(word, mark.end()) else mark.start()


def _closing_quote(text: str) -> str:
    """Return the quote that ends `text`, with the punctuation after it."""
    match = _CLOSING_QUOTE.search(text)
    return match[0] if match else ""
