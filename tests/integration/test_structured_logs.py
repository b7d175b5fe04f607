"""What the sidecar says on stderr: whole lines, in the form that was asked for, to the end."""

import re
import signal
import socket
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.messages import message, post
from tests.support.origin import Origin
from tests.support.reports import Piped, lines_of, read_to_end
from tests.support.scripts import echo
from tests.support.sidecar import Server, registry, run_command, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

JSON: Final = {"log_format": "json"}
TEXT_LINE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} toolproxy: .+")
KEYS: Final = {"timestamp", "level", "logger", "message"}
CALL: Final = "/tools/o.call"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(echo)


def broken(count: int) -> list[Server]:
    """Each costs a line."""
    return [server(f"bad{number}", "http://a", timeout="soon") for number in range(count)]


def documents(said: str) -> list[dict[str, str]]:
    """One for each line; fails where a line is no JSON object."""
    found = [orjson.loads(line) for line in said.splitlines()]
    assert all(isinstance(each, dict) for each in found)
    return found


def test_json_is_one_object_a_line_from_start_to_end(origin: Origin, tmp_path: Path) -> None:
    servers = registry(server("o", origin.url), *broken(20))
    with Piped(tmp_path, servers, JSON) as sidecar:
        found = read_to_end(sidecar.stderr)
        sidecar.process.send_signal(signal.SIGTERM)
        sidecar.exit_status()
        assert eventually(lambda: b"Draining" in b"".join(found))

        said = documents((sidecar.first + b"".join(found)).decode())

    assert all(set(each) == KEYS for each in said)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:]{8}[+-]\d{4}", each["timestamp"]) for each in said
    )
    assert {each["level"] for each in said} >= {"info", "warning"}
    assert sum("].timeout" in each["message"] for each in said) == 20


def test_text_is_one_line_for_each_message(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), *broken(3))

    sidecar.signal(signal.SIGTERM)
    sidecar.exit_status()

    assert all(TEXT_LINE.fullmatch(line) for line in sidecar.stderr.splitlines()), sidecar.stderr


def test_level_says_what_is_left_out(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), *broken(1))
    assert sidecar.said("error: .*timeout")

    sidecar.write_settings({"log_level": "error"})
    sidecar.signal(signal.SIGHUP)
    assert eventually(lambda: sidecar.get("/readyz").json()["generation"] == 2)
    sidecar.signal(signal.SIGTERM)
    sidecar.exit_status()

    assert not sidecar.said("Draining")


def test_hup_changes_the_form(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url))

    sidecar.write_settings(JSON)
    sidecar.signal(signal.SIGHUP)
    assert eventually(lambda: sidecar.said("generation 2"))

    fresh = [line for line in sidecar.stderr.splitlines() if not TEXT_LINE.fullmatch(line)]
    assert any("generation 2" in each["message"] for each in documents("\n".join(fresh)))


def test_nothing_is_lost_when_it_cannot_begin(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "registry.yaml").write_text(registry(*broken(300)))
        path.write_text(
            f"listen: 127.0.0.1:{port}\nlog_format: json\n"
            f"registry: {{path: {tmp_path}/registry.yaml, store: {tmp_path}/generations}}\n"
        )

        done = run_command("run", "-c", str(path))

    said = [line for line in done.stderr.splitlines() if line.startswith("{")]
    told = [each["message"] for each in documents("\n".join(said))]
    assert (done.returncode, sum("].timeout" in each for each in told)) == (2, 300)
    assert [line for line in done.stderr.splitlines() if not line.startswith("{")] == [
        f"toolproxy: listen: 127.0.0.1:{port} can't be had: address already in use"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_nothing_is_lost_at_the_end(origin: Origin, tmp_path: Path, number: signal.Signals) -> None:
    servers = registry(server("o", origin.url), *broken(500))
    with Piped(tmp_path, servers, {}) as sidecar:
        found = read_to_end(sidecar.stderr)
        sidecar.process.send_signal(signal.SIGHUP)
        eventually(lambda: b"generation 2" in b"".join(found))
        sidecar.process.send_signal(number)

        assert sidecar.exit_status() == 0
        assert eventually(lambda: b"".join(found).count(b"].timeout") == 500)


EVIL: Final = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    message(b"GET /%ff%00?%ff HTTP/1.1", b"Host: a"),
    message(b"GET /events?format=json&limit=%ff&since=%00 HTTP/1.1", b"Host: a"),
    message(b"GET /events?format=json&since=9999-12-31T23:59:59-23:59 HTTP/1.1", b"Host: a"),
    message(b"GET /events?format=json&since=0001-01-01T00:00:00%2B23:59 HTTP/1.1", b"Host: a"),
    message(b"GET /events?format=json&trace_id=%ed%a0%80 HTTP/1.1", b"Host: a"),
    message(b"GET /events?format=json&status=%0d%0a HTTP/1.1", b"Host: a"),
    message(b"GET /events/%00%ff%22/summary HTTP/1.1", b"Host: a"),
    message(b"GET /events/%ed%a0%80/summary HTTP/1.1", b"Host: a"),
    message(b"GET /api/v1/servers/%ed%a0%80/stream HTTP/1.1", b"Host: a"),
    message(b"GET /metrics HTTP/1.1", b"Host: a", b"Accept: ;;;q=\xff,application/openmetrics"),
    message(b"GET /events HTTP/1.1", b"Host: a", b"Accept: application/json", b"A: \xff"),
    post(CALL, b"User-Agent: \xff\xfe", b"Referer: \xed\xa0\x80", b"X-Chora-Trace-Id: \xff"),
    post("/tools/\\o.call"),
    message(b"POST /tools/o.call?\xff HTTP/1.1", b"Host: a"),
]


@pytest.mark.parametrize("form", ["json", "combined"])
def test_no_bad_request_costs_a_traceback(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path, form: str
) -> None:
    settings = {
        "access_log": str(tmp_path / "access.log"),
        "access_format": form,
        "events": {"journal": str(tmp_path / "events.jsonl")},
    }
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    statuses = [sidecar.ask(each).status for each in EVIL]

    assert [each for each in statuses if each >= 500 and each != 505] == []
    assert "traceback" not in sidecar.stderr.lower()
    assert len(lines_of(tmp_path / "access.log", len(EVIL))) == len(EVIL)
