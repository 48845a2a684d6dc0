"""Links between the pages, and from the code to a page, have a target."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = sorted(
    path
    for folder in ("operator", "trainer-image", "guard", "charts", "manifests", "demo", "localcluster")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".yaml", ".tpl", ".txt", ".service"} or path.name == "Dockerfile"
)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub generates for the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    counts: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(f"{name}-{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_a_target(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)", page.read_text()):
        if target.startswith("http"):
            continue
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}#{anchor}"


def test_pages_that_the_code_names_exist() -> None:
    mentions = {
        (path.relative_to(ROOT), *mention)
        for path in CODE
        for mention in re.findall(r"(?<![\w/])(docs/[\w./-]*\.md)(?:#([\w-]+))?", path.read_text())
    }
    assert len(mentions) > 10
    for path, page, anchor in sorted(mentions):
        assert (ROOT / page).exists(), f"{path}: {page}"
        assert not anchor or anchor in anchors(ROOT / page), f"{path}: {page}#{anchor}"


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## Where requests may go", "where-requests-may-go"),
        ("### The pod: GPUs, nodes", "the-pod-gpus-nodes"),
        ("# `make up` and [more](x.md)", "make-up-and-more"),
    ],
)
def test_anchors_are_as_github_makes_them(heading: str, anchor: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{heading}\n\n```sh\n# a comment\n```\n\n{heading}\n")
    assert anchors(page) == {anchor, f"{anchor}-1"}
