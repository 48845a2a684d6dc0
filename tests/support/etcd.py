"""Read etcd's content and history directly, not through the API server (https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/)."""

import base64
import json
from collections.abc import Generator, Iterator
from typing import Any

import requests

_ALL = {"key": base64.b64encode(b"\0").decode(), "range_end": base64.b64encode(b"\0").decode()}


def history(address: str) -> Iterator[tuple[str, bytes]]:
    """Yield key and value of the current content and of every earlier change since the last compaction (every five minutes)."""
    answer = requests.post(f"{address}/v3/kv/range", json=_ALL, timeout=60)
    answer.raise_for_status()
    current = answer.json()
    yield from (_pair(item) for item in current["kvs"])
    first: int | None = 1
    while first is not None:
        first = yield from _changes(address, first, int(current["header"]["revision"]))


def _pair(pair: dict[str, str]) -> tuple[str, bytes]:
    return base64.b64decode(pair["key"]).decode(), base64.b64decode(pair.get("value", ""))


def _changes(address: str, first: int, last: int) -> Generator[tuple[str, bytes], None, int | None]:
    """Yield the changes from `first` to `last`; return the revision to restart from if `first` is compacted."""
    watch = {"create_request": _ALL | {"start_revision": str(first)}}
    with requests.post(f"{address}/v3/watch", json=watch, stream=True, timeout=30) as response:
        response.raise_for_status()
        for line in response.iter_lines(chunk_size=None):
            result: dict[str, Any] = json.loads(line)["result"]
            if compacted := int(result.get("compact_revision", 0)):
                return compacted
            for event in result.get("events", []):
                pair = event["kv"]
                yield _pair(pair)
                if int(pair["mod_revision"]) >= last:
                    return None
    return None
