"""report.html in a real browser: no network requests, narrow screens, light and dark colours."""

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
LONG_LABEL = "triangle" + "_that_never_ends" * 6
MIN_CONTRAST = 150  # of 255, between text and background


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    (folder / "model").mkdir()
    report.write(
        folder / "model", detection_result(folder, ["circle", "<script>document.title = 'broken'</script>", LONG_LABEL])
    )
    return (folder / "model" / "report.html").as_uri()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as opened:
        yield opened


async def test_page_sends_no_requests_and_has_no_errors(page: Page, address: str) -> None:
    await page.open(address)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith("data:")] == [address]
    assert await page.evaluate("document.title") == "Training report: detection, fcos_tiny"
    assert await page.evaluate("document.scripts.length") == 0


async def test_examples_and_their_boxes_are_visible(page: Page, address: str) -> None:
    await page.open(address)
    with Image.open(io.BytesIO(await page.screenshot())) as image:
        colours = {bytes(colour) for colour in np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)}
    for name in ("circle", "triangle"):
        assert any(max(abs(a - b) for a, b in zip(colour, COLOURS[name], strict=True)) < 12 for colour in colours)
    assert await page.evaluate("document.querySelectorAll('rect.missed').length") == 4
    assert (
        await page.evaluate("Math.min(...[...document.querySelectorAll('figure svg')].map(one => one.clientWidth))")
        > 200
    )


async def test_page_fits_a_phone_without_horizontal_scrolling(page: Page, address: str) -> None:
    await page.open(address, width=375)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 375
    assert await page.evaluate(CUT_OFF) == []


@pytest.mark.parametrize("dark", [False, True])
async def test_text_has_enough_contrast_in_light_and_dark_mode(page: Page, address: str, dark: bool) -> None:
    await page.open(address, dark=dark)
    background, text = [await page.evaluate(f"{LUMINANCE}('{name}')") for name in ("backgroundColor", "color")]
    assert (text - background if dark else background - text) > MIN_CONTRAST
    assert await page.evaluate(
        "getComputedStyle(document.querySelector('.charts svg text')).fill"
    ) == await page.evaluate("getComputedStyle(document.body).color")
