"""A browser's own EventSource reads the stream: names, ids, odd characters, and resumes."""

from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.support.browser import Page
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

ODD = "a\u2028b\u2029c\u0085d"
# On a page with nothing of ours; `heard` fills with what was understood.
LISTEN = """([url, name]) => {
  window.heard = [];
  window.source = new EventSource(url);
  window.source.addEventListener(name, (message) => window.heard.push(
    [message.type, message.lastEventId, JSON.parse(message.data)]));
}"""


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("n", origin.url))


@pytest.fixture
def page(sidecar: Sidecar, open_page: OpenPage) -> Page:
    page = open_page(sidecar, "/livez")
    page.ask(LISTEN, ["/events", "tool_invoked"])
    assert eventually(lambda: page.ask("window.source.readyState") == 1)
    return page


def heard(page: Page, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    """So many messages, or what came instead."""
    eventually(lambda: len(page.ask("window.heard")) >= number)
    return [(name, id_, event) for name, id_, event in page.ask("window.heard")]


def test_name_id_and_data_arrive(sidecar: Sidecar, page: Page) -> None:
    sidecar.ask(post("/tools/n.call", b"X-Chora-Trace-Id: mine"))

    ((name, id_, event),) = heard(page, 1)
    assert (name, id_, event["trace_id"]) == ("tool_invoked", event["event_id"], "mine")


def test_characters_at_which_some_split_lines_arrive_whole(
    sidecar: Sidecar, page: Page, origin: Origin
) -> None:
    page.ask(LISTEN, ["/events", "registry_reloaded"])
    assert eventually(lambda: page.ask("window.source.readyState") == 1)

    unknown_key = {**server("n", origin.url), ODD: 1}
    sidecar.registry_path.write_text(registry(unknown_key))

    ((_, id_, event),) = heard(page, 1)
    assert id_ == event["event_id"]
    assert ODD in "".join(event["problems"])


def test_a_broken_stream_is_resumed_without_gap_or_repeat(sidecar: Sidecar, page: Page) -> None:
    for number in range(3):
        sidecar.ask(post("/tools/n.call", b"X-Chora-Trace-Id: %d" % number))
    first = heard(page, 3)
    page.ask("window.source.close()")
    for number in range(3, 6):
        sidecar.ask(post("/tools/n.call", b"X-Chora-Trace-Id: %d" % number))

    page.ask(LISTEN, [f"/events?last_event_id={first[1][1]}", "tool_invoked"])

    traces = [event["trace_id"] for _, _, event in heard(page, 4)]
    assert traces == ["2", "3", "4", "5"]
