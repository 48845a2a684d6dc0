"""Where each image is looked for, decided when all links are known: images of one name in different folders are never the same image."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

from vott_trainer.annotations.findings import Finding
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import ImageLink
from vott_trainer.annotations.values import excerpt

MAX_URLS = 10  # tried for an image

Places = dict[ImageLink, tuple[str, ...]]


def settled(links: Collection[ImageLink], urls: ImageUrls) -> tuple[Places, list[Finding]]:
    """Return the URLs of each link in the order to try them, each link with another first URL where possible, and what to report."""
    parts = {link: link.path.split("/") for link in links if link.path}
    common = _common_depth(path[:-1] for path in parts.values())
    shared = _shared_names(parts.values())
    one_is_bare = any(len(path) == common + 1 for path in shared)  # by its bare name, it might be the other one
    common_of_shared = max(common - one_is_bare, 0)
    places: Places = {}
    for link in links:
        if not (path := parts.get(link)):
            places[link] = _first_few(link.urls)
        elif tuple(path) in shared:
            places[link] = _with_link(link, urls.below("/".join(path[common_of_shared:])))
        else:
            below_common = "/".join(path[common:])
            names = dict.fromkeys([path[-1], below_common])
            places[link] = _with_link(link, (url for name in names for url in urls.below(name)))
    examples = " and ".join(excerpt("/".join(path[common_of_shared:])) for path in sorted(shared)[:2])
    problem = f"{len(shared):,} images have the name of another one in a different folder, such as {examples}: looked up with their folders"
    return _distinct(places), [Finding("image", "", problem)] if shared else []


def _common_depth(folders: Iterable[list[str]]) -> int:
    """Return the number of leading parts that all folders have in common."""
    distinct = sorted(set(map(tuple, folders))) or [()]
    pairs = zip(distinct[0], distinct[-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _shared_names(paths: Iterable[list[str]]) -> set[tuple[str, ...]]:
    """Return the paths whose last part is that of another path, too."""
    by_name: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for path in paths:
        by_name[unquote(path[-1])].add(tuple(path))
    return {path for paths_of_name in by_name.values() if len(paths_of_name) > 1 for path in paths_of_name}


def _with_link(link: ImageLink, lookups: Iterable[str]) -> tuple[str, ...]:
    """A link with a query is a credential that may have expired: it is tried last. Others are meant as they are."""
    has_query = any("?" in url for url in link.urls[:1])
    return _first_few([*lookups, *link.urls] if has_query else [*link.urls, *lookups])


def _first_few(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))[:MAX_URLS]


def _distinct(places: Mapping[ImageLink, tuple[str, ...]]) -> Places:
    """Let each link begin with a URL of its own: `a b.jpg` means a URL that `a%20b.jpg` may mean, too."""
    taken, result = set[str](), Places()
    for link, urls in sorted(places.items(), key=lambda item: len(item[1])):
        first = next((url for url in urls if unquote(url) not in taken), urls[0])
        taken.add(unquote(first))  # as the store reads it
        result[link] = (first, *(url for url in urls if url != first))
    return result
