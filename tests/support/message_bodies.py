"""Hypothesis strategies for message bodies: valid, nearly valid, and arbitrary ones."""

import base64
import json
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import strategies as st

Bodies = st.SearchStrategy[bytes]

SECRET = "SECRET"
VALID: dict[str, Any] = {"annotations": f"https://host/a.csv?sig={SECRET}", "model": f"https://store/m?sig={SECRET}"}
WEB: dict[str, Any] = {"projectId": "p1", "requestId": 7, "url": f"https://host/a.csv?sig={SECRET}"}
FIELDS = ["annotations", "url", "model", "plugin", "plugin_name", "parameters", "projectId", "requestId", "digest", "x"]

HUGE_NUMBERS = ["NaN", "-Infinity", "Infinity", "1e309", "-1e999", "1" + "0" * 400, "9" * 5000, "1e-400", "-0", "1E308"]
ODD_TEXTS = [
    "", " ", ".", "..", "../..", "\x7f", "\x85", "\u2028", "\u202eabc", "a\nb", "%00", "%2e%2e", "{requestId}", "x" * 129,
    "x" * 9000, "\U0001f600", "$(HOSTNAME)", "'; --", "${x}", "null", "\ufeff", "h\u00e9llo", "a/b?c#d",
]  # fmt: skip
ODD_URLS = [
    "http://", "https:///x", "ftp://host/x", "https://u:p@host/", "https://host:99999/", "https://[::1]/a",
    "https://[/", "HTTPS://HOST/A", "https://host/a b", "https://host/" + "a" * 9000, "https://h\u00f6st/\u00fc", "//host/x",
    "https://host/x#frag", "https://host?sig=SECRET", "https://host:SECRET/", "file:///etc/passwd", "https://a\\b/c",
    "https://host/%zz", "https://-/", "https://..../", "https://host/$(X)", "https://host/{x}|^`", "https://\u2100/x",
]  # fmt: skip
RARE = [
    ("plugin", "../x"), ("plugin_name", "x" * 64), ("plugin", ""), ("model", f"https://u:{SECRET}@host/"),
    ("model", "https://host/" + "a" * 9000), ("url", "https://host/a b"), ("model", "https://host/#a"), ("parameters", {"a": "\0"}),
    ("x", ["\udfff"]), ("projectId", ".."), ("requestId", "a\n"), ("model", "https://h/?a=1&amp;b=2&c=3"),
]  # fmt: skip
"""Fields that are too rare by chance."""
DOTNET = b"@\x06string\x083http://schemas.microsoft.com/2003/10/Serialization/\x9d"
RAW_STRINGS = ['"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\x01"', '"']


def json_values() -> st.SearchStrategy[Any]:
    """Values of every JSON type."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(ODD_TEXTS + ODD_URLS)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )


def valid() -> st.SearchStrategy[dict[str, Any]]:
    """Valid messages in both forms."""
    plugin = st.sampled_from([{}, {"plugin": "detection"}, {"plugin_name": "hello-world"}, {"plugin": "unknown"}])
    parameters = st.dictionaries(
        st.text("abc.- \u00e9$", min_size=1, max_size=4), st.integers() | st.text(max_size=5), max_size=3
    )
    more = st.fixed_dictionaries({}, optional={"parameters": parameters, "createdAt": st.text(max_size=4)})
    form = st.sampled_from([VALID, WEB])
    return st.builds(lambda form, plugin, more: form | plugin | more, form, plugin, more)


def nearly_valid() -> st.SearchStrategy[dict[str, Any]]:
    """Valid messages with one field changed or removed."""
    change = st.tuples(st.sampled_from(FIELDS), json_values())
    url = st.tuples(st.sampled_from(["annotations", "url", "model"]), st.sampled_from(ODD_URLS))
    rare = st.sampled_from(RARE)
    identifier = st.tuples(st.sampled_from(["projectId", "requestId"]), st.sampled_from(ODD_TEXTS) | json_values())
    changed = st.builds(lambda fields, item: fields | dict([item]), valid(), change | url | identifier | rare)
    without = st.builds(
        lambda fields, name: {k: v for k, v in fields.items() if k != name}, valid(), st.sampled_from(FIELDS)
    )
    spelled = st.builds(
        lambda fields, name, value: fields | {name.upper(): value},
        valid(),
        st.sampled_from(FIELDS),
        st.sampled_from(["", None, "https://else/"]),
    )
    return changed | without | spelled


def rare_bodies() -> list[bytes]:
    """Valid messages of both forms, each with one of RARE, and damaged ones; each twice in a row."""
    changed = [json.dumps(form | dict([field])).encode() for form in (VALID, WEB) for field in RARE]
    damaged = [
        b"{&quot;annotations&quot;",
        b'"a string"',
        base64.b64encode(b"no JSON"),
        json.dumps({"data": WEB}).encode(),
    ]
    return [body for body in (*changed, *damaged) for _ in range(2)]


def spliced() -> Bodies:
    """Valid messages with a field that no JSON library writes: huge numbers, lone surrogates, duplicate names."""
    depth = st.integers(1, 60).map(lambda n: '{"a":[' * n + "1" + "]}" * n)
    very_deep = st.sampled_from([900, 2000, 30_000]).map(lambda n: "[" * n + "]" * n)
    value = st.sampled_from(HUGE_NUMBERS + RAW_STRINGS) | depth | very_deep
    within = st.sampled_from(["%s", '{"a":[1,{"b":%s}]}', '{"a":1,"a":%s}', "[%s]", '{"\\u0000":%s}', '{"\\ud800":%s}'])

    def splice(fields: dict[str, Any], name: str, form: str, raw: str) -> bytes:
        return f'{json.dumps(fields)[:-1]},"{name}":{form.replace("%s", raw)}}}'.encode()

    return st.builds(splice, valid(), st.sampled_from([*FIELDS, "status"]), within, value)


def large() -> Bodies:
    """Messages around the services' limits (64 and 256 KiB) and the longest command-line argument."""
    size = st.sampled_from([60_000, 65_536, 99_900, 110_000, 262_000, 270_000])

    def pad(fields: dict[str, Any], name: str, size: int, unit: str) -> bytes:
        return json.dumps(fields | {name: {"a": (unit * size)[:size]}}, ensure_ascii=False).encode()

    return st.builds(
        pad, valid(), st.sampled_from(["parameters", "createdAt"]), size, st.sampled_from(["x", "$", "\u00e9", '"'])
    )


def mutated(bodies: Bodies) -> Bodies:
    """Bodies with some bytes replaced, inserted or removed."""

    def mutate(body: bytes, at: float, cut: int, put: bytes) -> bytes:
        place = int(at * len(body))
        return body[:place] + put + body[place + cut :]

    put = st.binary(max_size=3) | st.sampled_from(
        [b'"', b",", b"}", b"\\", b"\xff", b"\xed\xa0\x80", b"\0", b"\xc0\x80"]
    )
    return st.builds(mutate, bodies, st.floats(0, 1), st.integers(0, 3), put)


def encoded(bodies: Bodies) -> Bodies:
    """Bodies in base64 (valid or damaged), escaped for XML, with a byte order mark, or in another character encoding."""
    wrappings = [
        base64.b64encode, base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes,
        lambda body: base64.b64encode(body)[:-1], lambda body: base64.b64encode(base64.b64encode(body)),
        lambda body: b"\xef\xbb\xbf" + body, lambda body: b"\xfe\xff" + body, lambda body: b" \n" + body + b"\r\n",
        lambda body: body.decode("latin-1").encode("utf-16"), lambda body: body.decode("latin-1").encode(),
        lambda body: json.dumps(body.decode("latin-1")).encode(), lambda body: b"[" + body + b"]",
        lambda body: body.replace(b"&", b"&amp;"), lambda body: body.replace(b'"', b"&quot;"),
        lambda body: escape(body.decode("latin-1"), {'"': "&quot;"}).encode(),
        lambda body: DOTNET + len(body).to_bytes(4, "little") + body,
    ]  # fmt: skip
    return st.builds(lambda wrap, body: bytes(wrap(body)), st.sampled_from(wrappings), bodies)


def with_callback(statuses: list[str]) -> Bodies:
    """Messages with one of these callback URLs."""
    fields = valid() | nearly_valid()
    return st.builds(lambda item, url: json.dumps(item | {"status": url}).encode(), fields, st.sampled_from(statuses))


def anything(statuses: list[str]) -> Bodies:
    """Bodies of all kinds. They contain no callback URLs but these; randomly changed ones contain none."""
    written = (valid() | nearly_valid()).map(lambda fields: json.dumps(fields).encode())
    base64_and_json = st.sampled_from(
        [b"1234", b"true", b"null", b"12345678", b"eyJhIjoxfQ==", b"e30=", b"W10=", b"aGVsbG8=", b"e30K/w=="]
    )
    return st.one_of(
        written,
        with_callback(statuses),
        spliced(),
        large(),
        encoded(written),
        mutated(written),
        mutated(encoded(written)),
        json_values().map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=40),
        base64_and_json,
        st.sampled_from(
            [b"", b"{}", b"[" * 65_536, b'{"a":' * 20_000, b"\xef\xbb\xbf", b"\xff" * 65_536, b" " * 65_536]
        ),
    )
