"""report.html in a real browser: it can be read without network, on a phone and in the dark."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.annotated_images import COLOURS
from tests.support.browser import Page, browser
from tests.support.training_results import detection_result
from vott_trainer import report

LUMINANCE = """(name => {
  const [r, g, b] = getComputedStyle(document.body)[name].match(/[0-9.]+/g).map(Number);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
})"""
CUT_OFF = """[...document.querySelectorAll('body *')].filter(
  one => !one.closest('svg, .scroll') && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"""
LONG = "triangle" + "_that_never_ends" * 6
CONTRAST = 150  # of 255, between text and paper


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    (folder / "model").mkdir()
    report.write(
        folder / "model", detection_result(folder, ["circle", "<script>document.title = 'broken'</script>", LONG])
    )
    return (folder / "model" / "report.html").as_uri()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as opened:
        yield opened


async def test_page_asks_for_nothing_and_has_no_error(page: Page, address: str) -> None:
    await page.open(address)
    assert page.errors == []
    assert [asked for asked in page.requests if not asked.startswith("data:")] == [address]
    assert await page.evaluate("document.title") == "Training report: detection, fcos_tiny"
    assert await page.evaluate("document.scripts.length") == 0


async def test_examples_and_their_boxes_are_to_be_seen(page: Page, address: str) -> None:
    await page.open(address)
    with Image.open(io.BytesIO(await page.screenshot())) as image:
        seen = {bytes(colour) for colour in np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)}
    for name in ("circle", "triangle"):
        assert any(max(abs(a - b) for a, b in zip(colour, COLOURS[name], strict=True)) < 12 for colour in seen)
    assert await page.evaluate("document.querySelectorAll('rect.missed').length") == 4
    assert (
        await page.evaluate("Math.min(...[...document.querySelectorAll('figure svg')].map(one => one.clientWidth))")
        > 200
    )


async def test_phone_shows_all_without_scrolling_sideways(page: Page, address: str) -> None:
    await page.open(address, width=375)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 375
    assert await page.evaluate(CUT_OFF) == []


@pytest.mark.parametrize("dark", [False, True])
async def test_text_stands_out_on_light_and_on_dark(page: Page, address: str, dark: bool) -> None:
    await page.open(address, dark=dark)
    paper, ink = [await page.evaluate(f"{LUMINANCE}('{name}')") for name in ("backgroundColor", "color")]
    assert (ink - paper if dark else paper - ink) > CONTRAST
    assert await page.evaluate(
        "getComputedStyle(document.querySelector('.charts svg text')).fill"
    ) == await page.evaluate("getComputedStyle(document.body).color")
