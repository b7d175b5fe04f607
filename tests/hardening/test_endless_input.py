"""Heads, lines and chunks without an end: refused early, read no further; and nobody waits."""

import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.caller import Caller
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_holdings import assert_back, settled_holdings
from tests.support.loop_thread import LoopThread
from tests.support.messages import message
from tests.support.origin import Origin, Visit
from tests.support.scripts import echo
from tests.support.sidecar import Sidecar, registry, server
from tests.support.waiting import eventually

MIB: Final = 1 << 20
# After a refusal 1 MiB is thrown away, to be polite; the rest is what two kernels can hold.
MOST_SENT_BYTES: Final = 16 * MIB
MOST_GROWN_BYTES: Final = 8 * MIB
PIECE_BYTES: Final = 1 << 18
CALLS: Final = 20
CALLS_WITHIN_S: Final = 3.0

HEAD: Final = b"GET /tools HTTP/1.1\r\nHost: a\r\n"
CHUNKED: Final = message(b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")
SINK: Final = message(b"POST /tools/sink.call HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")
COUNTED: Final = message(
    b"POST /tools/sink.call HTTP/1.1", b"Host: a", b"Content-Length: 99999999999"
)


@pytest.fixture(scope="module")
def origins(loop_thread: LoopThread) -> Iterator[tuple[Origin, Origin]]:
    """One that answers, and one that takes whatever comes."""
    found = Origin(echo), Origin(swallow)
    for origin in found:
        loop_thread.run(origin.start())
    yield found
    for origin in found:
        loop_thread.run(origin.stop())


@pytest.fixture(scope="module")
def sidecar(
    origins: tuple[Origin, Origin], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    servers = registry(server("o", origins[0].url), server("sink", origins[1].url))
    started = Sidecar(tmp_path_factory.mktemp("endless"), servers)
    yield started
    started.close()


async def swallow(visit: Visit) -> None:
    while await visit.connection.reader.read(PIECE_BYTES):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "again", "verdict"),
    [
        pytest.param(b"GET /", b"x", 414, id="request-line"),
        pytest.param(HEAD + b"X-A: ", b"v", 431, id="field"),
        pytest.param(HEAD, b"X-A: v\r\n", 431, id="fields"),
        pytest.param(CHUNKED, b"0", 400, id="chunk-size"),
        pytest.param(CHUNKED + b"1;", b"e", 400, id="chunk-extension"),
        pytest.param(CHUNKED, b"1;e=eeeeeeee\r\nx\r\n", 400, id="chunk-extensions"),
        pytest.param(CHUNKED + b"0\r\n", b"T: v\r\n", 400, id="trailers"),
    ],
)
def test_what_never_ends_is_refused_early_and_read_no_further(
    sidecar: Sidecar, first: bytes, again: bytes, verdict: int
) -> None:
    before = settled_holdings(sidecar)
    sidecar.forget_peak()
    resident_bytes = sidecar.resident_bytes()

    with Bystander(sidecar) as bystander:
        came = [_send_without_end(sidecar, first, again)]
        grown_bytes = sidecar.peak_bytes() - resident_bytes
        ends_at = time.monotonic() + CALLS_WITHIN_S
        while bystander.calls < CALLS and time.monotonic() < ends_at:
            came.append(_send_without_end(sidecar, first, again))

    most_bytes = max(sent_bytes for _, sent_bytes in came)
    print(f"took {most_bytes / MIB:.1f} MiB, grew by {grown_bytes / MIB:.1f} MiB")  # noqa: T201
    assert {status for status, _ in came} == {verdict}
    assert (most_bytes < MOST_SENT_BYTES, grown_bytes < MOST_GROWN_BYTES) == (True, True)
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(b"", b"\r\n", id="empty-lines"),
        pytest.param(COUNTED, b"x", id="body"),
        pytest.param(SINK, b"400\r\n" + b"x" * 1024 + b"\r\n", id="small-chunks"),
        pytest.param(SINK, b"1\r\nx\r\n", id="tiny-chunks"),
    ],
)
def test_what_never_ends_and_is_no_error_leaves_time_for_others(
    sidecar: Sidecar, first: bytes, again: bytes
) -> None:
    before = settled_holdings(sidecar)
    with Bystander(sidecar) as bystander, sidecar.caller() as caller:
        sender = threading.Thread(target=_send_until_refused, args=(caller, first, again))
        sender.start()
        eventually(lambda: bystander.calls >= CALLS, within_s=CALLS_WITHIN_S)
        caller.half_close()
        sender.join()

    bystander.assert_undisturbed()
    assert_back(sidecar, before)


def _send_without_end(sidecar: Sidecar, first: bytes, again: bytes) -> tuple[int, int]:
    """The verdict on it, and how much was taken until the connection was gone."""
    with sidecar.caller() as caller:
        sent_bytes = _send_until_refused(caller, first, again)
        return int(caller.rest()[9:12] or 0), sent_bytes


def _send_until_refused(caller: Caller, first: bytes, again: bytes) -> int:
    piece = again * (PIECE_BYTES // len(again))
    sent_bytes = 0
    try:
        caller.send(first)
        while True:
            caller.send(piece)
            sent_bytes += len(piece)
    except OSError:
        return sent_bytes
