"""The dashboard can be read and used: narrow, dark, by keyboard, with good contrast."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import OpenPage
from tests.support.browser import Page
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
NARROW_PX = 400
MOST_STOPS = 100

# The contrast (WCAG 2.2) of each visible text with what lies behind it, where it is too low.
TOO_PALE = """(least) => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) =>
    [r, g, b].map((value, at) => value * a + under[at] * (1 - a));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const color = parts(getComputedStyle(element).backgroundColor);
    return color[3] === 0 ? behind(element.parentElement)
      : over(color, color[3] === undefined ? [] : behind(element.parentElement));
  };
  const light = (color) => color.map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const pale = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("template, script, :disabled")) continue;
    const ground = behind(element);
    const ink = light(over(parts(getComputedStyle(element).color), ground));
    const paper = light(ground);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < least) pale.push([texts.currentNode.data, contrast]);
  }
  return pale;
}"""
UNLABELLED = """[...document.querySelectorAll("input, select, button, summary")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !each.labels?.length && !each.ariaLabel && !each.innerText.trim())
  .map((each) => each.outerHTML)"""
FOCUSED = """(() => {
  const { activeElement: it } = document;
  const seen = getComputedStyle(it).outlineStyle !== "none";
  return [it.id || it.className || it.dataset.sort || it.tagName.toLowerCase(), seen];
})()"""
GROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    origin: Origin = start_origin()
    long = "a-tool-with-a-name-longer-than-a-narrow-window-is-wide-" * 2
    needs = {"credentials_required": ["A_SECRET_OF_WHICH_THE_NAME_IS_LONG_AS_WELL"]}
    return start_sidecar(
        server("books", origin.url, tools=["find", {"name": long, "upstream_dependencies": needs}]),
        server("n" * 64, origin.url),
        server("bad", origin.url, timeout="soon"),
    )


def filled(sidecar: Sidecar, page: Page) -> Page:
    """Every part of it has something to show."""
    assert page.shows("#connection", "Live")
    for path in ("/tools/books.find", "/tools/books.lose"):
        sidecar.ask(post(path, b"X-Chora-Trace-Id: " + b"t" * 200))
    assert page.shows(".event", "books.lose")
    page.click("#quarantine summary")
    page.click(".server summary")
    page.click(".event .open")
    assert page.shows(".event pre", "event_id")
    return page


def test_nothing_needs_to_be_scrolled_sideways_in_a_narrow_window(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    page = filled(sidecar, open_page(sidecar, width=NARROW_PX))

    assert page.ask("document.documentElement.scrollWidth") <= NARROW_PX


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    sidecar: Sidecar, open_page: OpenPage, *, dark: bool
) -> None:
    page = filled(sidecar, open_page(sidecar, dark=dark))

    assert page.ask(TOO_PALE, LEAST_CONTRAST) == []


def test_the_page_is_dark_where_the_reader_likes_it_dark(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    light, dark = (open_page(sidecar, dark=dark).ask(GROUND) for dark in (False, True))

    assert (min(light) > 200, max(dark) < 60) == (True, True)


def test_everything_that_takes_an_action_has_a_name(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = filled(sidecar, open_page(sidecar))

    assert page.ask(UNLABELLED) == []


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")
    sidecar.ask(post("/tools/books.find"))
    assert page.shows(".event", "books.find")
    wanted = ["skip", "summary", "server-name", "event-type", "event-trace", "open", "tool-text"]

    reached = list(tabbed_through(page))

    assert [name for name in dict.fromkeys(reached) if name in wanted] == wanted


def tabbed_through(page: Page) -> Iterator[str]:
    """What has the focus, one after the other, until the window's end; it is always seen."""
    for _ in range(MOST_STOPS):
        page.press("Tab")
        name, visible = page.ask(FOCUSED)
        if name == "body":
            return
        assert visible, name
        yield name


def test_enter_opens_and_closes_a_row(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")
    sidecar.ask(post("/tools/books.find"))
    assert page.shows(".event", "books.find")
    page.ask("document.querySelector('.event .open').focus()")

    page.press("Enter")

    assert page.shows(".event pre", "books")
    page.press("Enter")
    assert eventually(lambda: page.count(".event pre") == 0)
