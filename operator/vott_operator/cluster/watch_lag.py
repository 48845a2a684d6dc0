"""How far the watches of a namespace are behind the cluster, found by comparing the Store with lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from vott_operator.cluster.store import Listed, Store


@dataclass(frozen=True, slots=True)
class _Missed:
    """A version of an object that a list showed before a watch."""

    version: Listed
    since: datetime
    confirmed: bool = False
    """Whether the next list still had the object. A watch may be a moment behind a list, and never shows what was deleted meanwhile."""


class WatchLag:
    """The age of the oldest change that the watches of each namespace have not shown."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._missed: dict[str, dict[str, _Missed]] = {}
        """By namespace and uid."""

    def note(self, namespace: str, behind: Sequence[Listed]) -> None:
        """Note what a complete list of a namespace had and the Store had not."""
        now, before = self._clock(), self._missed.get(namespace, {})
        self._missed[namespace] = missed = dict[str, _Missed]()
        for version in behind:
            earlier = before.get(version.uid)
            if earlier is not None and self._store.is_behind(earlier.version):
                missed[version.uid] = _Missed(earlier.version, earlier.since, confirmed=True)
            else:
                missed[version.uid] = _Missed(version, now)

    def forget(self, namespace: str) -> None:
        """Forget a namespace that can't be listed."""
        self._missed.pop(namespace, None)

    def seconds(self, namespace: str) -> float:
        """Age of the oldest change that two lists showed and the watches still have not; 0 if there is none."""
        confirmed = (item for item in self._missed.get(namespace, {}).values() if item.confirmed)
        missed = (item.since for item in confirmed if self._store.is_behind(item.version))
        since = min(missed, default=None)
        return 0.0 if since is None else (self._clock() - since).total_seconds()
