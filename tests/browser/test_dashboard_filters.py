"""The dashboard's lists show what is asked for, and stand still when they are read."""

import pytest

from tests.browser.conftest import OpenPage
from tests.support.browser import Page, call_often
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

SUBJECTS = ".event .subject"
LOADED = 200  # events of the past, when the page is opened


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(
        server("books", origin.url, tools=["find", "lend"]), server("maps", origin.url)
    )


@pytest.fixture
def page(sidecar: Sidecar, open_page: OpenPage) -> Page:
    """Three calls: two of one trace, one that failed."""
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")
    sidecar.ask(post("/tools/books.find", b"X-Chora-Trace-Id: first"))
    sidecar.ask(post("/tools/maps.call", b"X-Chora-Trace-Id: first"))
    sidecar.ask(post("/tools/books.lose", b"X-Chora-Trace-Id: second"))
    assert page.shows(".event", "books.lose")
    return page


def subjects(page: Page) -> list[str]:
    return page.texts(SUBJECTS)


def test_events_are_filtered_by_server(page: Page) -> None:
    page.choose("#event-server", "maps")
    page.choose("#event-type", "tool_invoked")

    assert eventually(lambda: subjects(page) == ["maps.call"])


def test_events_are_filtered_by_type(page: Page) -> None:
    page.choose("#event-type", "server_health")

    assert eventually(lambda: not page.shows(".event", "tool_invoked", within_s=0))


def test_events_are_filtered_by_status(page: Page) -> None:
    page.choose("#event-status", "failure")

    assert eventually(lambda: page.count(".event") == 1)
    assert page.shows(".event", "Tool not found: books.lose")


def test_events_are_filtered_by_a_click_on_their_trace(page: Page, sidecar: Sidecar) -> None:
    page.click(".event:has-text('maps.call') .trace")
    sidecar.ask(post("/tools/books.lend", b"X-Chora-Trace-Id: second"))
    sidecar.ask(post("/tools/books.lend", b"X-Chora-Trace-Id: first"))

    assert eventually(lambda: subjects(page) == ["books.lend", "maps.call", "books.find"])


def test_a_filter_finds_what_is_older_than_all_that_was_loaded(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    sidecar.ask(post("/tools/books.find", b"X-Chora-Trace-Id: ancient"))
    call_often(sidecar, "/tools/maps.call", LOADED)
    page = open_page(sidecar)
    assert page.shows(SUBJECTS, "maps.call")
    assert not page.shows(".event", "ancient", within_s=0)

    page.fill("#event-trace", "ancient")

    assert eventually(lambda: subjects(page) == ["books.find"])


def test_a_server_leads_to_its_events(page: Page) -> None:
    page.click(".server[data-name=maps] summary")
    page.click(".server[data-name=maps] button")
    page.choose("#event-type", "tool_invoked")

    assert eventually(lambda: subjects(page) == ["maps.call"])


def test_filters_are_cleared_together(page: Page) -> None:
    page.fill("#event-trace", "nobody's")
    assert page.shows("#events-nothing", "No event matches")

    page.click("#event-reset")

    assert page.shows(SUBJECTS, "maps.call")
    assert page.count("#event-reset") == 0


def test_a_paused_list_stands_still(page: Page, sidecar: Sidecar) -> None:
    page.click("#pause")
    before = subjects(page)

    sidecar.ask(post("/tools/books.lend"))

    assert page.shows("#newer", "1 newer event")
    assert subjects(page) == before
    page.click("#pause")
    assert page.shows(SUBJECTS, "books.lend")


def test_a_row_that_is_read_stays_where_it_is(page: Page, sidecar: Sidecar) -> None:
    page.click(".event:has-text('maps.call') .open")
    assert page.shows(".event pre", '"tool_name": "call"', '"trace_id": "first"')

    sidecar.ask(post("/tools/books.lend"))

    assert page.shows("#newer", "1 newer event")
    page.click("#newer")
    assert page.shows(SUBJECTS, "books.lend")


def test_servers_are_found_by_name_and_by_trouble(page: Page) -> None:
    page.fill("#server-name", "MAP")
    assert eventually(lambda: page.texts(".who strong") == ["maps"])

    page.click("#server-trouble")

    assert page.shows("#servers-nothing", "No server matches")


def test_tools_are_found_by_name_and_sorted_by_calls(page: Page) -> None:
    page.click("[data-sort=calls]")
    assert eventually(lambda: page.texts("#tool-rows tr")[-1].startswith("books.lend"))

    page.fill("#tool-text", "find")

    assert eventually(lambda: page.texts("#tool-rows th") == ["books.find"])
