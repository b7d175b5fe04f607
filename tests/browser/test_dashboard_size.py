"""The dashboard stays usable with large registries and many calls."""

from tests.browser.conftest import OpenPage
from tests.support.browser import call_often
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

SERVERS = 300
TOOLS = 34  # of each server
FIRST_PAINT_MS = 1000 * 10
LONGEST_FRAME_MS = 200 * 10
CALLS = 1500
ROWS = 500
PAGE_ROWS = 25

# The longest time between two frames from here on, as `longestFrame`.
WATCH_FRAMES = """() => {
  let last = performance.now();
  window.longestFrame = 0;
  const frame = (now) => {
    window.longestFrame = Math.max(window.longestFrame, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def test_ten_thousand_tools_of_three_hundred_servers_are_usable(
    start_origin: StartOrigin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    origin = start_origin()
    names = [f"tool-{number}" for number in range(TOOLS)]
    sidecar = start_sidecar(
        *(server(f"s{number}", origin.url, tools=names) for number in range(SERVERS))
    )

    page = open_page(sidecar)

    assert page.shows("#servers-count", "300")
    assert page.shows("#tools-count", "10,200")
    assert 0 < page.ask(FIRST_PAINT) < FIRST_PAINT_MS
    assert page.ask("document.querySelectorAll('#tool-rows tr').length") == PAGE_ROWS
    page.ask(WATCH_FRAMES)
    page.fill("#tool-text", "s299.tool-33")
    assert eventually(lambda: page.texts("#tool-rows th") == ["s299.tool-33"])
    assert page.ask("window.longestFrame") < LONGEST_FRAME_MS


def test_a_storm_of_calls_is_counted_and_shown_within_bounds(
    start_origin: StartOrigin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    sidecar = start_sidecar(server("n", start_origin().url))
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")
    page.ask(WATCH_FRAMES)

    call_often(sidecar, "/tools/n.call", CALLS)

    assert page.shows("#tool-rows tr", f"{CALLS:,}")
    assert page.ask("document.querySelectorAll('.event').length") == ROWS
    assert page.ask("window.longestFrame") < LONGEST_FRAME_MS
