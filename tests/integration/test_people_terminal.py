"""The command line on a terminal: tables that fit, words that are harmless, and a way out."""

import asyncio
import fcntl
import os
import re
import select
import signal
import struct
import termios
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support import forks
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers
from tests.support.sidecar import START_WITHIN_S, Sidecar, environment, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

PAINT: Final = re.compile(r"\x1b\[[0-9]*m")
HARMFUL: Final = "\x1b]0;owned\x07\x9b2J\x7f\u202eabc\u2066"
OBEYED: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WIDE: Final = "工具 ツール"


class Terminal:
    """A command on a terminal of its own: what it shows, and how it ends."""

    def __init__(self, process: forks.Process, screen: int) -> None:
        self.process = process
        self.shown = ""
        self._screen = screen
        self._octets = bytearray()

    def shows(self, words: str) -> bool:
        """Read until it does, or ends."""
        while words not in self.shown and self._read():
            pass
        return words in self.shown

    def ends(self) -> int:
        while self._read():
            pass
        return self.process.wait(START_WITHIN_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], START_WITHIN_S)
        assert ready, f"nothing more came after {self.shown!r}"
        try:
            octets = os.read(self._screen, 1 << 16)
        except OSError:  # Linux says so when the other side is closed
            return False
        self._octets += octets
        self.shown = self._octets.decode(errors="replace").replace("\r\n", "\n")
        return bool(octets)


@contextmanager
def opened(
    url: str, *arguments: str, columns: int = 80, extra: dict[str, str] | None = None
) -> Iterator[Terminal]:
    screen, inside = os.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = environment({"TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "", "NO_COLOR": ""})
    streams = forks.Streams(inside, inside, inside)
    process = forks.start([*arguments, "--url", url], known | (extra or {}), streams)
    os.close(inside)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait(START_WITHIN_S)
        os.close(screen)


def url(sidecar: Sidecar) -> str:
    return f"http://127.0.0.1:{sidecar.port}"


def shown(
    sidecar: Sidecar,
    *arguments: str,
    columns: int = 80,
    status: int = 0,
    extra: dict[str, str] | None = None,
) -> str:
    with opened(url(sidecar), *arguments, columns=columns, extra=extra) as terminal:
        ended = terminal.ends()
    assert (ended, "Traceback" in terminal.shown) == (status, False), terminal.shown
    return terminal.shown


def width_of(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(each) in ("W", "F") for each in line)
    return len(line) + wide


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    tools = [
        {"name": "harmful", "description": HARMFUL},
        {"name": "wide", "description": WIDE * 40},
        {"name": "plain", "description": "One word,\nand another line"},
        {"name": "poor", "upstream_dependencies": {"credentials_required": ["NOBODY_SET_THIS"]}},
    ]
    sidecar = start_sidecar(server("o", origin.url, tools=tools), server("another", origin.url))
    assert eventually(lambda: b'"unknown"' not in sidecar.get("/api/v1/servers").body)
    return sidecar


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("command", [("servers",), ("tools",), ("events",)], ids=" ".join)
def test_tables_fit_the_terminal(sidecar: Sidecar, command: tuple[str, ...], columns: int) -> None:
    lines = PAINT.sub("", shown(sidecar, *command, columns=columns)).splitlines()

    assert (len(lines) > 2, max(map(width_of, lines)) <= columns) == (True, True), lines


def test_columns_stand_under_one_another(sidecar: Sidecar) -> None:
    lines = PAINT.sub("", shown(sidecar, "servers")).splitlines()

    place = lines[0].index("HEALTH")
    assert [line[:place].strip() for line in lines[1:]] == ["another", "o"]
    assert all(line[place:].startswith("healthy") for line in lines[1:]), lines


def test_a_tool_that_misses_credentials_names_them(sidecar: Sidecar) -> None:
    text = shown(sidecar, "tools", "--server", "o", "--no-color", columns=120)

    assert re.search(r"o\.poor +healthy +no: NOBODY_SET_THIS missing", text), text


def test_details_name_the_endpoint(sidecar: Sidecar, origin: Origin) -> None:
    text = shown(sidecar, "servers", "o", columns=120)

    assert [word in text for word in ("sensitivity", "ENDPOINT", origin.url)] == [True] * 3, text


def test_health_tells_it_in_a_line_and_by_server(sidecar: Sidecar) -> None:
    lines = shown(sidecar, "health", "--no-color").splitlines()

    assert (lines[0], len(lines)) == ("healthy: 2 of 2 servers can be used", 5)


@pytest.mark.parametrize("arguments", [("tools",), ("tools", "--json")], ids=["table", "json"])
def test_descriptions_cannot_command_the_terminal(
    sidecar: Sidecar, arguments: tuple[str, ...]
) -> None:
    text = PAINT.sub("", shown(sidecar, *arguments, columns=200))

    assert (OBEYED.findall(text), r"\u001b]0;owned" in text) == ([], True), text


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json", b"application/problem+json"])
def test_an_answer_cannot_command_the_terminal(
    sidecar: Sidecar, origin: Origin, kind: bytes
) -> None:
    origin.script = answers(ok(f'"a\r\nb{HARMFUL}"'.encode(), b"Content-Type: " + kind))

    text = shown(sidecar, "call", "o.plain", "{}")

    assert (OBEYED.findall(text), "200 OK" in text) == ([], True), text


def test_json_is_laid_out_and_says_the_same(sidecar: Sidecar, origin: Origin) -> None:
    body = b'{"n":123456789012345678901234567890,"n":[1.10,{}],"s":"a,b:{"}'
    origin.script = answers(ok(body, b"Content-Type: application/json"))

    text = shown(sidecar, "call", "o.plain", "{}", "--trace", "workflow-7")

    lines = text.splitlines()
    assert lines[:-1] == [
        "{",
        '  "n": 123456789012345678901234567890,',
        '  "n": [',
        "    1.10,",
        "    {}",
        "  ],",
        '  "s": "a,b:{"',
        "}",
    ]
    assert re.fullmatch(r"200 OK · \d+ ms · trace workflow-7", lines[-1])


def test_octets_are_not_shown(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"\x1b[2J" * 10, b"Content-Type: application/octet-stream"))

    text = shown(sidecar, "call", "o.plain", "{}")

    assert (text.startswith("40 bytes of application/octet-stream"), "\x1b" in text) == (
        True,
        False,
    )


def test_a_refusal_cannot_command_the_terminal(start_origin: StartOrigin) -> None:
    problem = b'{"detail": "' + HARMFUL.encode().replace(b"\x1b", b"\\u001b") + b'"}'
    head = b"HTTP/1.1 503 Sorry\r\nContent-Type: application/problem+json\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(problem)
    stranger = start_origin(answers(head + length + problem))

    with opened(stranger.url, "health") as terminal:
        status = terminal.ends()

    assert (status, OBEYED.findall(terminal.shown)) == (1, []), terminal.shown


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        pytest.param((), {}, id="colour"),
        pytest.param(("--no-color",), {}, id="option"),
        pytest.param((), {"NO_COLOR": "1"}, id="variable"),
        pytest.param((), {"TERM": "dumb"}, id="dumb"),
        pytest.param(("--json",), {}, id="json"),
    ],
)
def test_colour_is_for_those_who_want_it(
    sidecar: Sidecar, arguments: tuple[str, ...], extra: dict[str, str]
) -> None:
    text = shown(sidecar, "health", *arguments, extra=extra)

    assert ("\x1b" in text) is (arguments == () and not extra)


def test_followed_events_come_until_ctrl_c(sidecar: Sidecar) -> None:
    call = b"POST /tools/o.plain HTTP/1.1\r\nHost: a\r\nX-Chora-Trace-Id: %b\r\n\r\n"
    sidecar.ask(call % b"before")
    command = ("events", "--follow", "--type", "tool_invoked", "--limit", "1", "--no-color")

    with opened(url(sidecar), *command, columns=100) as terminal:
        assert terminal.shows("before")
        sidecar.ask(call % b"after")
        assert terminal.shows("after"), terminal.shown
        terminal.process.send_signal(signal.SIGINT)
        status = terminal.ends()

    title, *lines = terminal.shown.splitlines()
    rows = [line.split()[2:5] + line.split()[6:] for line in lines]
    assert (status, title.split()[0], rows) == (
        0,
        "UTC",
        [
            ["tool_invoked", "o.plain", "success", "before"],
            ["tool_invoked", "o.plain", "success", "after"],
        ],
    )


def test_ctrl_c_is_status_130_without_a_word(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()

    async def begins(visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbeg")
        await gate.passed()

    origin.script = begins

    with opened(url(sidecar), "call", "o.plain", "{}") as terminal:
        assert terminal.shows("beg")
        terminal.process.send_signal(signal.SIGINT)
        status = terminal.ends()

    assert (status, terminal.shown) == (130, "beg")


@pytest.mark.slow
def test_a_long_listing_says_how_far_it_is(start_origin: StartOrigin) -> None:
    pages = [b'{"server_name": "o", "tool_name": "t"}'] * 1000

    async def slow(visit: Visit) -> None:
        await visit.read()
        if b"offset=0" in visit.target:
            await asyncio.sleep(1.2)  # longer than a person is left without a word
        rows = b",".join(pages if b"offset=0" in visit.target else [])
        await visit.send(ok(b'{"total": 1000, "tools": [%b], "servers": []}' % rows))

    with opened(start_origin(slow).url, "tools") as terminal:
        status = terminal.ends()

    begun, _, after = terminal.shown.partition("1000 of 1000 tools")
    assert (status, "TOOL" in begun, after.startswith("\r\x1b[K")) == (0, False, True)
