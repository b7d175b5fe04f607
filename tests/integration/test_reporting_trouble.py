"""A full disk, a pipe that nobody empties, a file that cannot be had: calls never feel it."""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.caller import Answer
from tests.support.messages import get, ok, post
from tests.support.origin import Origin
from tests.support.reports import (
    Piped,
    dropped,
    json_lines,
    problems,
    read_to_end,
    sample,
)
from tests.support.scripts import answers
from tests.support.sidecar import Server, Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
# One line of 80 KiB in `combined`: 8 MiB may wait, so that the 110th or so is dropped.
WIDE: Final = post(CALL, b"User-Agent: " + b"\xff" * 20_000)
ENOUGH: Final = 150
NO_TIME_S: Final = 1.0  # a call takes less than 1 ms; a sidecar that waits for a pipe, for ever
LITTLE_BYTES: Final = 3_000
AGAIN_WITHIN_S: Final = 30.0  # pauses between attempts grow up to 10 s


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok()))


def slowest_s(ask: Callable[[bytes], Answer], count: int = ENOUGH) -> float:
    """Of so many calls with long lines, all of which succeed."""
    took_s = 0.0
    for _ in range(count):
        began_at = time.monotonic()
        assert ask(WIDE).status == 200
        took_s = max(took_s, time.monotonic() - began_at)
    return took_s


def file_size_limit(sidecar: Sidecar, most_bytes: int) -> None:
    """What a full disk is to a writer: no file may grow beyond this."""
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


def test_fifo_that_nobody_reads_holds_up_no_call_and_what_is_lost_is_counted(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(fifo)})

    assert slowest_s(sidecar.ask) < NO_TIME_S
    lost = dropped(sidecar, "access_log")

    sidecar.signal(signal.SIGTERM)
    assert (0 < lost < ENOUGH, sidecar.exit_status()) == (True, 0)


def test_fifo_gives_what_waited_to_whoever_begins_to_read(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sidecar = start_sidecar(server("o", origin.url), settings={"access_log": str(fifo)})
    for _ in range(20):
        sidecar.ask(post(CALL))

    with fifo.open("rb", buffering=0) as reader:
        found = read_to_end(reader)
        assert eventually(lambda: b"".join(found).count(b"\n") == 20)

    assert dropped(sidecar, "access_log") == 0


def test_stdout_that_nobody_reads_holds_up_no_call(origin: Origin, tmp_path: Path) -> None:
    settings = {"access_log": "-", "drain_timeout": "1s"}
    with Piped(tmp_path, registry(server("o", origin.url)), settings) as sidecar:
        read_to_end(sidecar.stderr)

        assert slowest_s(sidecar.ask) < NO_TIME_S

        counted = b'toolproxy_events_dropped_total{where="access_log"}'
        (line,) = [
            each
            for each in sidecar.ask(get("/metrics")).body.splitlines()
            if each.startswith(counted)
        ]
        assert float(line.split()[1]) > 0
        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.exit_status() == 0


def test_stdout_that_is_closed_is_a_problem_and_no_more(origin: Origin, tmp_path: Path) -> None:
    with Piped(tmp_path, registry(server("o", origin.url)), {"access_log": "-"}) as sidecar:
        read_to_end(sidecar.stderr)
        sidecar.stdout.close()

        assert slowest_s(sidecar.ask, 5) < NO_TIME_S

        assert eventually(lambda: b"broken pipe" in sidecar.ask(get("/readyz")).body)


def quarantined(count: int) -> list[Server]:
    """Each costs a line of the log whenever the registry is read."""
    return [server(f"bad{number}", "http://a", timeout="soon") for number in range(count)]


def test_stderr_that_nobody_reads_holds_up_no_call(origin: Origin, tmp_path: Path) -> None:
    servers = registry(server("o", origin.url), *quarantined(200))
    with Piped(tmp_path, servers, {"drain_timeout": "1s"}) as sidecar:
        generation = 1
        for generation in (2, 3, 4):
            sidecar.process.send_signal(signal.SIGHUP)
            said = b'"generation":%d,' % generation
            assert eventually(lambda: said in sidecar.ask(get("/readyz")).body)  # noqa: B023 - at once

        assert slowest_s(sidecar.ask, 50) < NO_TIME_S

        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.exit_status() == 0
    assert generation == 4


@pytest.mark.parametrize(
    ("where", "settings"),
    [
        pytest.param("access_log", {"access_log": "{}", "access_format": "json"}, id="access-log"),
        pytest.param("events.journal", {"events": {"journal": "{}"}}, id="journal"),
    ],
)
def test_full_disk_is_shown_and_is_over_when_there_is_room_again(
    origin: Origin,
    start_sidecar: StartSidecar,
    tmp_path: Path,
    where: str,
    settings: dict[str, object],
) -> None:
    path = tmp_path / "lines"
    filled = orjson.loads(orjson.dumps(settings).replace(b"{}", str(path).encode()))
    sidecar = start_sidecar(server("o", origin.url), settings=filled)
    file_size_limit(sidecar, LITTLE_BYTES)

    def shown() -> float:
        return sample(sidecar, "toolproxy_reporting_problem", where=where)

    ids = [f"call-{number}" for number in range(50)]
    for each in ids:
        assert sidecar.ask(post(CALL, b"X-Request-Id: " + each.encode())).status == 200
    assert eventually(lambda: where in problems(sidecar))
    assert (shown(), problems(sidecar)[where]) == (1, f"cannot write {path}: file too large")
    assert path.stat().st_size <= LITTLE_BYTES

    file_size_limit(sidecar, resource.RLIM_INFINITY)

    assert eventually(lambda: not problems(sidecar), within_s=AGAIN_WITHIN_S)
    assert shown() == 0
    found = [str(line.get("request_id")) for line in json_lines(path, len(ids))]
    assert [each for each in found if each.startswith("call-")] == ids


@pytest.mark.parametrize(
    "place",
    ["absent/access.log", ".", "proxy.yaml/access.log"],
    ids=["no-folder", "folder", "file"],
)
def test_file_that_cannot_be_had_is_a_problem_and_no_more(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path, place: str
) -> None:
    settings = {"access_log": str(tmp_path / place)}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    assert sidecar.ask(post(CALL)).status == 200

    assert eventually(lambda: "cannot write" in problems(sidecar).get("access_log", ""))
    assert eventually(lambda: sidecar.said("cannot write.*\n"))
    assert len([line for line in sidecar.stderr.splitlines() if "cannot write" in line]) == 1


def test_end_waits_for_a_full_disk_no_longer_than_for_callers(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    settings = {"access_log": str(tmp_path / "absent" / "log")}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    sidecar.ask(post(CALL))
    assert eventually(lambda: problems(sidecar))

    sidecar.signal(signal.SIGTERM)

    assert sidecar.exit_status(within_s=20) == 0
