"""The dashboard shows what happens while it happens."""

import signal
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.support.browser import call_often
from tests.support.messages import ok, post
from tests.support.origin import Origin
from tests.support.scripts import answers, echo, in_turn
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

# As when its tab is left, or come back to.
SEEN = """(seen) => {
  Object.defineProperty(document, "hidden", { value: !seen, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
FAILS = answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(
        server("books", origin.url, tools=["find", "lend"]), server("maps", origin.url)
    )


def test_a_call_shows_within_a_second(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    sidecar.ask(post("/tools/books.find", b"X-Chora-Trace-Id: workflow-1"))

    assert page.shows(".event", "books.find", "200", "workflow-1")
    assert page.shows("#tool-rows tr", "books.find", "1")
    assert page.shows(".server", "books", "healthy", " / ")


def test_what_went_before_shows_when_the_page_is_opened(
    sidecar: Sidecar, open_page: OpenPage
) -> None:
    sidecar.ask(post("/tools/books.find", b"X-Chora-Trace-Id: before"))

    page = open_page(sidecar)

    assert page.shows(".event", "books.find", "before")


def test_a_failed_call_says_why(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    sidecar.ask(post("/tools/books.burn"))

    assert page.shows(".event[data-tone=bad]", "tool_not_found: Tool not found: books.burn")
    assert page.shows("#total-errors", "100")


def test_a_circuit_that_opens_shows_at_once(
    start_origin: StartOrigin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    failing = start_origin(FAILS)
    sidecar = start_sidecar(server("ill", failing.url, circuit={"failures": 2}))
    page = open_page(sidecar)
    assert page.shows(".server", "ill", "healthy")

    for _ in range(2):
        sidecar.ask(post("/tools/ill.call"))

    assert page.shows(".server", "ill", "circuit open")
    assert page.shows(".event", "circuit_state", "closed → open")
    assert page.shows("#tool-rows tr", "ill.call", "circuit open")
    assert page.shows("#total-up-note", "1 circuit not closed")


def test_a_server_that_goes_away_shows_with_its_reason(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    sidecar = start_sidecar(
        server("frail", origin.url, health={"interval": 0.1, "unhealthy_after": 1})
    )
    page = open_page(sidecar)
    assert page.shows(".server", "healthy", "1 of 1 up")

    origin.health = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"

    assert page.shows(".server", "unhealthy", "0 of 1 up")
    assert page.shows(".event", "server_health", "healthy → unhealthy")
    page.click(".server summary")
    assert page.shows(".server .more", origin.url, "answered 500")


def test_a_new_registry_shows(sidecar: Sidecar, origin: Origin, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#generation", "1")

    sidecar.registry_path.write_text(registry(server("stars", origin.url, tools=["count"])))

    assert page.shows("#generation", "2")
    assert page.shows("#tool-rows tr", "stars.count")
    assert eventually(lambda: page.texts(".who strong") == ["stars"])


def test_a_rejected_registry_shows_with_its_problem(sidecar: Sidecar, open_page: OpenPage) -> None:
    page = open_page(sidecar)
    assert page.shows("#generation", "1")

    sidecar.registry_path.write_text("servers: [")

    assert page.shows("#rejected", "registry.yaml")
    assert page.texts("#generation") == ["1"]


def test_quarantined_servers_show_with_their_problems(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    sidecar = start_sidecar(server("good", origin.url), server("bad", origin.url, timeout="soon"))

    page = open_page(sidecar)

    assert page.shows("#quarantine", "1 server quarantined")
    page.click("#quarantine summary")
    assert page.shows("#quarantined li", "bad", "timeout")


def test_missing_credentials_show(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    needs = {"name": "ask", "upstream_dependencies": {"credentials_required": ["NOBODY_HAS_IT"]}}
    sidecar = start_sidecar(server("n", origin.url, tools=[needs]))

    page = open_page(sidecar)

    assert page.shows("#tool-rows tr", "n.ask", "missing NOBODY_HAS_IT")


def test_draining_shows(origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage) -> None:
    sidecar = start_sidecar(server("n", origin.url), settings={"drain_delay": "20s"})
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    sidecar.signal(signal.SIGTERM)

    assert page.shows("#draining", "Draining")


@pytest.mark.timeout(120)
def test_a_restart_is_survived(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    first = start_sidecar(server("old", origin.url))
    page = open_page(first)
    assert page.shows("#connection", "Live")
    first.ask(post("/tools/old.call"))
    assert page.shows(".event", "old.call")
    first.close()
    assert page.shows("#connection", "Reconnecting")

    second = start_sidecar(
        server("new", origin.url), settings={"listen": f"127.0.0.1:{first.port}"}
    )

    assert page.shows("#connection", "Live", within_s=40)
    assert page.shows(".server", "new")
    assert page.shows(".event", "gap", "the sidecar has started anew")
    second.ask(post("/tools/new.call"))
    assert page.shows(".event", "new.call")
    assert page.own_complaints == []


@pytest.mark.timeout(120)
def test_a_refused_stream_is_asked_for_again(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    sidecar = start_sidecar(server("n", origin.url), settings={"events": {"max_subscribers": 1}})
    first = open_page(sidecar)
    assert first.shows("#connection", "Live")
    second = open_page(sidecar)
    assert second.shows("#connection", "Reconnecting")

    first.leave()

    assert second.shows("#connection", "Live", within_s=40)
    assert second.own_complaints == []


@pytest.mark.timeout(120)
def test_a_page_that_nobody_sees_takes_no_connection_and_misses_nothing(
    origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    sidecar = start_sidecar(server("n", origin.url), settings={"events": {"max_subscribers": 1}})
    hidden = open_page(sidecar)
    assert hidden.shows("#connection", "Live")
    hidden.ask(SEEN, about=False)
    visible = open_page(sidecar)
    assert visible.shows("#connection", "Live", within_s=40)
    call_often(sidecar, "/tools/n.call", 3)
    assert visible.shows("#tool-rows tr", "n.call", "3")

    visible.leave()
    hidden.ask(SEEN, about=True)

    assert hidden.shows("#connection", "Live", within_s=40)
    assert hidden.shows("#tool-rows tr", "n.call", "3")
    assert hidden.own_complaints == []


def test_events_of_other_servers_show_too(
    tmp_path: Path, origin: Origin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    file = tmp_path / "theirs.jsonl"
    file.touch()
    sidecar = start_sidecar(server("n", origin.url), settings={"events": {"tail": [str(file)]}})
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    file.write_text('{"event_type": "chora.content_generated", "status": "success"}\n')

    # Of a kind that it has not heard of, it learns when it asks for the past again.
    assert page.shows(".event", "chora.content_generated", within_s=30)
    page.choose("#event-type", "chora.content_generated")
    assert page.shows(".event", "chora.content_generated")


def test_failures_among_good_calls_are_counted(
    start_origin: StartOrigin, start_sidecar: StartSidecar, open_page: OpenPage
) -> None:
    origin = start_origin(in_turn(FAILS, answers(ok()), answers(ok()), echo))
    sidecar = start_sidecar(server("n", origin.url))
    page = open_page(sidecar)
    assert page.shows("#connection", "Live")

    for _ in range(4):
        sidecar.ask(post("/tools/n.call"))

    assert page.shows("#total-errors", "25")
    assert page.shows(".server", "25")
