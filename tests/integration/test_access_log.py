"""The access log beside nginx's own, of the same requests; and where it is written."""

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.reports import Piped, lines_of, read_to_end
from tests.support.scripts import (
    answers,
    holds,
)
from tests.support.sidecar import registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

NGINX: Final = shutil.which("nginx")
CALL: Final = "/tools/o.call"
COMBINED: Final = re.compile(
    r"(?P<address>\S+) - (?P<user>\S+)"
    r" \[(?P<at>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
    r' "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+)'
    r' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)
CONFIGURATION: Final = """
daemon off; master_process off; pid {here}/nginx.pid; error_log /dev/null; events {{}}
http {{
  access_log {here}/nginx.log combined;
  client_body_temp_path {here}/a; proxy_temp_path {here}/b; fastcgi_temp_path {here}/c;
  uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; }} }}
}}
"""


class Nginx:
    """A real one, which logs what it passes on."""

    def __init__(self, directory: Path, url: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.log = directory / "nginx.log"
        path = directory / "nginx.conf"
        path.write_text(CONFIGURATION.format(here=directory, port=self.port, url=url))
        self._process = subprocess.Popen(  # noqa: S603 - constants and our own paths
            [NGINX or "nginx", "-p", str(directory), "-c", str(path)], stderr=subprocess.DEVNULL
        )
        assert eventually(self._listens)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok(b"x" * 37)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def nginx(tmp_path: Path, origin: Origin) -> Iterator[Nginx]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    running = Nginx(tmp_path, origin.url)
    yield running
    running.close()


def fields(line: str) -> dict[str, str]:
    matched = COMBINED.fullmatch(line)
    assert matched, line
    return matched.groupdict()


LONG = b"GET /" + b"a" * 9_000 + b" HTTP/1.1"


def like_nginx(text: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(reason=f"nginx has it otherwise: {text}", strict=True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(post(CALL), id="plain"),
        pytest.param(post(CALL, b"Referer: http://a/b?c", b"User-Agent: me/1.0 (x; y)"), id="both"),
        pytest.param(post(CALL, b'User-Agent: a"b\\c'), id="quote-and-backslash"),
        pytest.param(post(CALL, b"User-Agent: a\tb"), id="tab"),
        pytest.param(post(CALL, b"Referer: caf\xc3\xa9 \xff"), id="not-ascii"),
        pytest.param(post(CALL, b"user-agent: one", b"USER-AGENT: two"), id="twice"),
        pytest.param(post(CALL + "?a=%22b%5C%0d%0a&c=d"), id="query"),
        pytest.param(message(b'POST /tools/o.call?a"b HTTP/1.1', b"Host: a"), id="quote-in-target"),
        pytest.param(message(b"POST /tools/o.call HTTP/1.0", b"Host: a"), id="http-1.0"),
        pytest.param(b"\r\n" + post(CALL), id="empty-line-before"),
        pytest.param(post(CALL, b"X-Forwarded-For: 192.0.2.9"), id="forwarded"),
        pytest.param(post(CALL, b"User-Agent:   a b   "), id="spaces"),
        pytest.param(post(CALL, b"Referer:"), id="empty"),
        pytest.param(
            message(b"POST http://a/tools/o.call?q HTTP/1.1", b"Host: a"),
            id="absolute-form",
            marks=like_nginx("the target as it was sent"),
        ),
        pytest.param(
            post(CALL, b"Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l"),
            id="user",
            marks=like_nginx("$remote_user is what Basic says"),
        ),
    ],
)
def test_combined_line_is_nginx_s_own(
    origin: Origin, nginx: Nginx, log: Path, start_sidecar: StartSidecar, request_bytes: bytes
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})

    for port in (sidecar.port, nginx.port):
        with Caller(port) as caller:
            caller.send(request_bytes)
            assert caller.answer().status == 200

    ours, theirs = (fields(lines_of(each)[0]) for each in (log, nginx.log))
    assert len(ours.pop("at")) == len(theirs.pop("at"))
    assert ours == theirs


def test_caller_that_left_is_logged_as_nginx_does(
    origin: Origin,
    nginx: Nginx,
    log: Path,
    start_sidecar: StartSidecar,
    loop_thread: LoopThread,
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})

    for number, port in enumerate((sidecar.port, nginx.port), 1):
        with Caller(port) as caller:
            caller.send(post(CALL))
            assert eventually(lambda: len(origin.calls) == number)  # noqa: B023 - asked at once
    ours, theirs = (fields(lines_of(each)[0]) for each in (log, nginx.log))
    gate.open()

    assert ours["status"] == "499"
    assert {**ours, "at": ""} == {**theirs, "at": ""}


@pytest.mark.parametrize(
    ("request_bytes", "status", "request_line"),
    [
        pytest.param(b"GARBAGE\r\n\r\n", 400, "GARBAGE", id="garbage"),
        pytest.param(
            message(b"GET / HTTP/1.1", b"Host: a", b"A: b\x01"), 400, "GET / HTTP/1.1", id="control"
        ),
        pytest.param(
            message(b"GET / HTTP/1.1", b"Host: a", b"A: " + b"b" * 40_000), 431, "GET / HTTP/1.1"
        ),
        pytest.param(message(LONG, b"Host: a"), 414, LONG[:1024].decode(), id="long"),
        pytest.param(post(CALL, b"Origin: http://evil"), 403, f"POST {CALL} HTTP/1.1", id="origin"),
        pytest.param(post("/tools/o.none"), 404, "POST /tools/o.none HTTP/1.1", id="tool"),
        pytest.param(get("/tools/o.call"), 405, "GET /tools/o.call HTTP/1.1", id="method"),
        pytest.param(get("/nowhere"), 404, "GET /nowhere HTTP/1.1", id="control-path"),
        pytest.param(
            message(b"OPTIONS /tools/o.call HTTP/1.1", b"Host: a"),
            204,
            "OPTIONS /tools/o.call HTTP/1.1",
            id="options",
        ),
    ],
)
def test_answer_of_our_own_has_its_line_too(
    origin: Origin,
    log: Path,
    start_sidecar: StartSidecar,
    request_bytes: bytes,
    status: int,
    request_line: str,
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})

    answer = sidecar.ask(request_bytes)
    sidecar.get("/livez")

    line = fields(lines_of(log, 2)[0])
    assert (answer.status, line["status"], line["request"], line["bytes"]) == (
        status,
        str(status),
        request_line,
        str(len(answer.body)),
    )


def test_head_that_never_ends_has_its_line_too(
    origin: Origin, log: Path, start_sidecar: StartSidecar
) -> None:
    settings = {"access_log": str(log), "limits": {"head_timeout": "0.1s"}}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    with sidecar.caller() as caller:
        caller.send(b"GET / HT")

        assert caller.answer().status == 408

    assert fields(lines_of(log)[0])["status"] == "408"


def test_answer_to_head_has_no_bytes(
    origin: Origin, log: Path, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})

    sidecar.ask(message(b"HEAD /servers/none/x HTTP/1.1", b"Host: a"))

    assert fields(lines_of(log)[0])["bytes"] == "0"


def test_no_octet_of_a_caller_begins_another_line(
    origin: Origin, log: Path, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})
    for octet in range(256):
        evil = b'x%c127.0.0.1 - - [now] "GET / HTTP/1.1" 200 0 "-" "-"' % octet
        sidecar.ask(post(CALL, b"User-Agent: " + evil, b"Referer: " + evil))
        sidecar.ask(message(b"POST /tools/o.call?" + evil[:2] + b" HTTP/1.1", b"Host: a"))

    assert eventually(lambda: len(log.read_bytes().split(b"\n")) == 513)
    assert all(COMBINED.fullmatch(line) for line in log.read_text(encoding="ascii").splitlines())


def test_dash_is_stdout_and_nothing_is_lost_at_the_end(origin: Origin, tmp_path: Path) -> None:
    with Piped(tmp_path, registry(server("o", origin.url)), {"access_log": "-"}) as sidecar:
        read_to_end(sidecar.stderr)
        written = read_to_end(sidecar.stdout)
        for number in range(200):
            sidecar.ask(post(f"{CALL}?{number}"))
        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.exit_status() == 0

        eventually(lambda: b"".join(written).count(b"\n") == 200)
        found = [fields(line)["request"] for line in b"".join(written).decode().splitlines()]

    assert found == [f"POST {CALL}?{number} HTTP/1.1" for number in range(200)]


def test_file_that_was_moved_away_is_begun_anew_and_no_line_is_lost(
    origin: Origin, start_sidecar: StartSidecar, log: Path
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})
    for number in range(60):
        sidecar.ask(post(f"{CALL}?{number}"))
        if number % 20 == 19:
            lines_of(log)
            log.rename(log.with_suffix(f".{number}"))
            sidecar.signal(signal.SIGUSR1)
    sidecar.signal(signal.SIGTERM)
    sidecar.exit_status()

    moved = "".join(each.read_text() for each in sorted(log.parent.glob("access.*")))
    found = sorted(int(fields(line)["request"].split("?")[1][:-9]) for line in moved.splitlines())
    assert found == list(range(60))


def test_reload_changes_path_and_format(
    origin: Origin, start_sidecar: StartSidecar, log: Path
) -> None:
    other = log.with_name("other.log")
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})
    sidecar.ask(post(f"{CALL}?first"))

    def becomes(settings: dict[str, object], mark: str) -> None:
        sidecar.write_settings(settings)
        sidecar.signal(signal.SIGHUP)
        assert eventually(
            lambda: sidecar.ask(post(CALL)).status and other.exists() and mark in other.read_text()
        )

    becomes({"access_log": str(other)}, f'"POST {CALL} HTTP/1.1"')
    becomes({"access_log": str(other), "access_format": "json"}, f'"target":"{CALL}"')

    assert "first" in log.read_text()


def test_reload_switches_it_off(origin: Origin, start_sidecar: StartSidecar, log: Path) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(log)})
    sidecar.ask(post(CALL))
    lines_of(log)

    sidecar.write_settings({})
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: b'where="access_log"' not in sidecar.get("/metrics").body)
