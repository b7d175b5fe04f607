"""The dashboard asks nobody else, runs nothing that it is told, and is quiet."""

import pytest

from tests.browser.conftest import OpenPage
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

EVIL = "<img src=x onerror=document.title='broken-in'>"
EVIL_TRACE = b"<img/src=x/onerror=document.title='broken-in'>"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = ("/", "/dashboard/page.js", "/dashboard/page.css", "/dashboard/favicon.svg")


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    tool = {"name": "find", "description": EVIL}
    return start_sidecar(server("books", origin.url, tools=[tool]), server(EVIL, origin.url))


@pytest.mark.parametrize("path", FILES)
def test_each_file_says_what_a_browser_may_do_with_it(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.get(path)

    assert answer.status == 200
    assert answer.value("content-security-policy") == POLICY
    assert answer.value("x-content-type-options") == "nosniff"
    assert answer.value("referrer-policy") == "no-referrer"
    assert answer.value("cache-control") == "no-cache"


def test_a_file_that_is_known_is_not_sent_again(sidecar: Sidecar) -> None:
    etag = sidecar.get("/dashboard/page.js").value("etag") or ""

    again = sidecar.ask(get("/dashboard/page.js", b"If-None-Match: " + etag.encode()))

    assert (again.status, again.body) == (304, b"")


def test_the_page_asks_nobody_but_its_sidecar_and_has_no_complaint(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")
    assert page.shows("#tool-rows tr", "books.find")

    sidecar.ask(post("/tools/books.find"))

    assert page.shows(".event", "books.find")
    page.choose("#event-server", "books")
    own = f"http://127.0.0.1:{sidecar.port}/"
    assert [url for url in page.requests if not url.startswith(own)] == []
    assert page.complaints == []


def test_what_comes_from_outside_stays_text(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    sidecar.ask(post("/tools/books.lose", b"X-Chora-Trace-Id: " + EVIL_TRACE))

    assert page.shows(".event", "books.lose")
    page.click(".event .open")
    assert page.shows(".event pre", EVIL_TRACE.decode())
    assert page.shows("#tool-rows tr", EVIL)
    page.click("#quarantine summary")
    assert page.shows("#quarantined li", "<img src=x")
    assert page.ask("document.querySelectorAll('main img, #quarantine img').length") == 0
    assert page.complaints == []
