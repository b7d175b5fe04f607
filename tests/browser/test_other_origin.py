"""Can a page elsewhere use a sidecar on somebody's machine? Not with anything that a browser has.

The page is real, of another origin on the same machine, which is the nearest that an attacker gets.
What counts is what arrived at the upstream, and what the page could read.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from tests.browser.conftest import OpenPage
from tests.support import browser as support
from tests.support.admission_scene import AS_CI, CI, OPS, guarded, named, operators_port
from tests.support.browser import Browser, Page, missing
from tests.support.messages import ok, post
from tests.support.origin import Origin
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

MARK: Final = "marked-Rt47yUi2oPlKj5"  # in all that the upstream answers
ADMIN: Final[dict[str, object]] = {"admin": "127.0.0.1:0"}
REBOUND: Final = "MAP elsewhere.example 127.0.0.1"
KEYS: Final = [named("ci", CI, allow=["o.*"]), named("ops", OPS, admin=True)]
# Each is a function of [base, key]; it gives what the page could read, or the word of a failure.
READS: Final = {
    "simple-fetch": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', headers: {'Content-Type': 'text/plain'}});
        return answer.status + await answer.text(); }""",
    "bodiless-fetch": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call', {method: 'POST'});
        return answer.status + await answer.text(); }""",
    "preflighted-fetch": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}});
        return answer.status + await answer.text(); }""",
    "fetch-with-a-key": """async ([base, key]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', headers: {'X-API-Key': key}});
        return answer.status + await answer.text(); }""",
    "fetch-with-credentials": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', credentials: 'include'});
        return answer.status + await answer.text(); }""",
    "blind-fetch": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', mode: 'no-cors'});
        return 'opaque' + answer.status + await answer.text(); }""",
    "blind-passthrough": """async ([base]) => {
        const answer = await fetch(base + '/servers/o/mcp',
            {method: 'POST', body: '{}', mode: 'no-cors'});
        return 'opaque' + answer.status + await answer.text(); }""",
    "fetch-of-the-passthrough": """async ([base]) => {
        const answer = await fetch(base + '/servers/o/mcp');
        return answer.status + await answer.text(); }""",
    "fetch-of-the-list": """async ([base]) => {
        const answer = await fetch(base + '/tools');
        return answer.status + await answer.text(); }""",
    "fetch-of-health": """async ([base]) => {
        const answer = await fetch(base + '/health');
        return answer.status + await answer.text(); }""",
    "fetch-of-metrics": """async ([base]) => {
        const answer = await fetch(base + '/metrics');
        return answer.status + await answer.text(); }""",
    "beacon": """async ([base]) => {
        navigator.sendBeacon(base + '/tools/o.call', '{}');
        navigator.sendBeacon(base + '/servers/o/mcp', new Blob(['{}'], {type: 'text/plain'}));
        return ''; }""",
    "kept-alive-fetch": """async ([base]) => {
        const answer = await fetch(base + '/tools/o.call',
            {method: 'POST', body: '{}', mode: 'no-cors', keepalive: true});
        return 'opaque' + answer.status + await answer.text(); }""",
    "xhr": """([base]) => new Promise((resolve) => {
        const asked = new XMLHttpRequest();
        asked.onloadend = () => resolve(asked.status + asked.responseText);
        asked.open('POST', base + '/tools/o.call');
        asked.send('{}'); })""",
    "event-source": """([base]) => new Promise((resolve) => {
        const source = new EventSource(base + '/events');
        source.onopen = () => resolve('read: open');
        source.onerror = () => resolve('error'); })""",
    "passthrough-event-source": """([base]) => new Promise((resolve) => {
        const source = new EventSource(base + '/servers/o/mcp');
        source.onopen = () => resolve('read: open');
        source.onerror = () => resolve('error'); })""",
    "web-socket": """([base]) => new Promise((resolve) => {
        const socket = new WebSocket(base.replace('http', 'ws') + '/servers/o/mcp');
        socket.onopen = () => resolve('read: open');
        socket.onclose = () => resolve('closed'); })""",
    "web-socket-of-a-tool": """([base]) => new Promise((resolve) => {
        const socket = new WebSocket(base.replace('http', 'ws') + '/tools/o.call');
        socket.onopen = () => resolve('read: open');
        socket.onclose = () => resolve('closed'); })""",
    # An answer that is no page is downloaded, and the frame never loads.
    "form": """([base]) => new Promise((resolve) => {
        const frame = document.body.appendChild(document.createElement('iframe'));
        frame.name = 'target';
        const form = document.body.appendChild(document.createElement('form'));
        Object.assign(form, {method: 'POST', action: base + '/tools/o.call', target: 'target',
            enctype: 'text/plain'});
        form.innerHTML = `<input name='{"a":"' value='"}'>`;
        frame.onload = () => resolve(frame.contentDocument?.body.innerText ?? 'hidden');
        form.submit();
        setTimeout(resolve, 2000, 'hidden'); })""",
}
# What a page makes the browser load without leave, by GET and often without an `Origin`.
LOADS: Final = {
    "blind-fetch": "fetch(url, {mode: 'no-cors'})",
    "image": "Object.assign(new Image(), {src: url})",
    "script": """document.head.appendChild(
        Object.assign(document.createElement('script'), {src: url}))""",
    "style": """document.head.appendChild(
        Object.assign(document.createElement('link'), {rel: 'stylesheet', href: url}))""",
    "frame": """document.body.appendChild(
        Object.assign(document.createElement('iframe'), {src: url}))""",
    "video": "Object.assign(document.createElement('video'), {src: url, preload: 'auto'}).load()",
    "prefetch": """document.head.appendChild(
        Object.assign(document.createElement('link'), {rel: 'prefetch', href: url}))""",
}
# Behind what was asked for before.
QUIET: Final = "() => fetch('/quiet').then((answer) => answer.text())"
_HANGS_AFTER_MS: Final = 5000


@pytest.fixture
def upstream(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok(MARK.encode())))


@pytest.fixture(params=["open", "guarded", "with-operators"])
def sidecar(
    request: pytest.FixtureRequest, upstream: Origin, start_sidecar: StartSidecar
) -> Sidecar:
    of_a_kind: dict[str, dict[str, object]] = {
        "open": {},
        "guarded": guarded(*KEYS),
        "with-operators": ADMIN,
    }
    settings = of_a_kind[request.param]
    return start_sidecar(server("o", upstream.url, passthrough=True), settings=settings)


@pytest.fixture
def elsewhere(browser: Browser, start_origin: StartOrigin) -> Iterator[Page]:
    """A page of a server that has nothing to do with the sidecar."""
    text = b"<!doctype html><title>elsewhere</title><body>elsewhere</body>"
    page_server = start_origin(answers(ok(text, b"Content-Type: text/html")))
    page = browser.page(f"{page_server.url}/page.html")
    yield page
    page.close()


def bases(sidecar: Sidecar) -> list[str]:
    """Where the sidecar listens."""
    ports = [sidecar.port]
    with contextlib.suppress(AssertionError):
        ports.append(operators_port(sidecar))
    return [f"http://127.0.0.1:{port}" for port in ports]


def tried(page: Page, script: str, *about: str) -> str:
    """What the page could read; failures are words of the browser."""
    late = f"new Promise((resolve) => setTimeout(resolve, {_HANGS_AFTER_MS}, 'hangs'))"
    caught = f"""async (about) => {{
        try {{ return await Promise.race([({script})(about), {late}]); }}
        catch (error) {{ return 'failed: ' + error; }} }}"""
    return str(page.ask(caught, list(about)))


def told_apart(read: str) -> bool:
    """Whether a page that read this has read something."""
    return not (
        read in {"", "error", "closed", "hidden", "0", "opaque0"} or read.startswith("failed: ")
    )


def settled(sidecar: Sidecar, upstream: Origin) -> list[bytes]:
    """What arrived, once a call of our own behind it has."""
    assert sidecar.ask(post("/tools/o.call?last", AS_CI)).status == 200
    return [visit.target for visit in upstream.calls if not visit.target.endswith(b"?last")]


def test_page_elsewhere_can_neither_call_nor_read(
    sidecar: Sidecar, upstream: Origin, elsewhere: Page
) -> None:
    read = {
        (what, base): tried(elsewhere, script, base, OPS)
        for base in bases(sidecar)
        for what, script in READS.items()
    }

    assert {what: text for what, text in read.items() if told_apart(text)} == {}
    assert settled(sidecar, upstream) == []
    assert MARK not in str(read)


def test_what_a_page_makes_a_browser_load_calls_no_tool(
    sidecar: Sidecar, upstream: Origin, elsewhere: Page
) -> None:
    for base in bases(sidecar):
        for what in LOADS.values():
            for path in ("/tools/o.call", "/", "/metrics", "/events?format=json"):
                elsewhere.ask(f"([url]) => {{ {what}; }}", [base + path])

    elsewhere.ask(QUIET)
    assert settled(sidecar, upstream) == []


@pytest.mark.parametrize("what", LOADS)
def test_what_a_page_makes_a_browser_load_reaches_no_passthrough(
    start_origin: StartOrigin, start_sidecar: StartSidecar, elsewhere: Page, what: str
) -> None:
    """Such a GET has no `Origin`, but `Sec-Fetch-Site: cross-site` or `same-site`."""
    upstream = start_origin(answers(ok(MARK.encode())))
    sidecar = start_sidecar(server("o", upstream.url, passthrough=True))

    elsewhere.ask(f"([url]) => {{ {LOADS[what]}; }}", [f"{bases(sidecar)[0]}/servers/o/{what}"])
    elsewhere.ask(QUIET)
    eventually(lambda: upstream.calls, within_s=2)

    assert settled(sidecar, upstream) == []


def test_dashboard_can_be_framed_by_nobody(
    upstream: Origin, start_sidecar: StartSidecar, elsewhere: Page
) -> None:
    sidecar = start_sidecar(server("o", upstream.url))
    script = """([base]) => new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.onload = () => resolve(frame.contentDocument === null ? 'hidden' : 'same');
        frame.src = base + '/';
        document.body.appendChild(frame); })"""

    assert tried(elsewhere, script, bases(sidecar)[0]) == "hidden"
    assert eventually(lambda: any("frame-ancestors" in each for each in elsewhere.complaints))


def test_page_whose_name_was_rebound_reads_nothing_of_the_operators(
    monkeypatch: pytest.MonkeyPatch, upstream: Origin, start_sidecar: StartSidecar
) -> None:
    """Its origin is its own, and Chromium sends no `Sec-Fetch-Site` to a plain name."""
    if why := missing():
        pytest.skip(why)
    monkeypatch.setattr(support, "FLAGS", (*support.FLAGS, f"--host-resolver-rules={REBOUND}"))
    sidecar = start_sidecar(server("o", upstream.url), settings=ADMIN)
    base = f"http://elsewhere.example:{operators_port(sidecar)}"
    with contextlib.closing(Browser()) as rebound:
        page = rebound.page(f"{base}/livez")

        read = tried(page, READS["fetch-of-metrics"], base)

    assert "toolproxy_" not in read


def test_page_that_may_can(upstream: Origin, start_sidecar: StartSidecar, elsewhere: Page) -> None:
    """Else the tests above could pass for the wrong reason."""
    settings = {"cors": {"origins": ["*"]}}
    sidecar = start_sidecar(server("o", upstream.url, passthrough=True), settings=settings)
    ways = ("simple-fetch", "preflighted-fetch", "fetch-with-a-key", "fetch-of-the-passthrough")

    read = [tried(elsewhere, READS[what], bases(sidecar)[0], OPS) for what in ways]

    assert read == [f"200{MARK}"] * len(ways)


def test_page_of_its_own_can_still_read(
    open_page: OpenPage, upstream: Origin, start_sidecar: StartSidecar
) -> None:
    """Else the tests above could pass for the wrong reason."""
    sidecar = start_sidecar(server("o", upstream.url))
    page = open_page(sidecar)

    read = tried(page, READS["simple-fetch"], "")

    assert read == f"200{MARK}"
