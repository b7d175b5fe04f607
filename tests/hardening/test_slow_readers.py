"""Callers that take no answer, or sip: bounded memory for each, and an end to every one."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Final

import orjson
import pytest

from proxy.data_plane.roles import Rules
from tests.support.caller import Caller
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_holdings import (
    assert_back,
    holdings,
    settled,
    settled_holdings,
)
from tests.support.messages import get, message, ok
from tests.support.origin import Visit
from tests.support.sidecar import Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.transcript import Transcript
from tests.support.waiting import eventually

KIB: Final = 1 << 10
MIB: Final = 1 << 20
SIZE: Final = 50
MOST_EACH_BYTES: Final = MIB
CALLS: Final = 50
PIECE: Final = b"x" * 64 * KIB
IDLE_S: Final = 3
ROOM: Final = {"max_connections": 4 * SIZE, "max_requests": 4 * SIZE}
IMPATIENT: Final = {"limits": {"idle": "500ms", "head_timeout": "500ms"}}
# The kernel takes some MiB of an answer that nobody reads. Around that, every state is met: all of
# it in the kernel; its end in a buffer, below the water mark; above it; still on its way.
ANSWERS_BYTES: Final = range(MIB, 5 * MIB, 128 * KIB)
LISTING_BYTES: Final = 8 * MIB
LISTED: Final = 800


def large(url: str, *, idle_timeout: str = "60s") -> Server:
    return server("large", url, passthrough=True, limits=ROOM, idle_timeout=idle_timeout)


def with_a_large_listing() -> str:
    """A registry as JSON, which is YAML, and much faster to write."""
    description = "d" * (LISTING_BYTES // LISTED)
    tools = [{"name": f"tool{number}", "description": description} for number in range(LISTED)]
    servers = [server("o", "http://127.0.0.1:9", tools=tools)]
    return orjson.dumps({"version": "1.0", "servers": servers}).decode()


async def endless(visit: Visit) -> None:
    await visit.read()
    visit.connection.writer.transport.set_write_buffer_limits(high=0)
    await visit.send(message(b"HTTP/1.1 200 OK", b"Content-Length: 99999999999"))
    while True:
        await visit.send(PIECE)


async def as_large_as_asked(visit: Visit) -> None:
    await visit.send(ok(b"x" * int(visit.target.removeprefix(b"/"))))


@pytest.mark.slow
def test_reader_that_sips_holds_only_its_own_buffers(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), large(start_origin(endless).url))
    before = settled_holdings(sidecar)
    sidecar.forget_peak()
    resident_bytes = sidecar.resident_bytes()

    with _readers(sidecar, [0] * SIZE) as readers:
        settled(sidecar.resident_bytes)
        with Bystander(sidecar) as bystander:
            while bystander.calls < CALLS:
                for reader in readers:
                    reader.some(KIB)
        each_bytes = (sidecar.peak_bytes() - resident_bytes) / SIZE

    print(f"{each_bytes / KIB:.0f} KiB for each reader that sips")  # noqa: T201 - a figure
    assert each_bytes < MOST_EACH_BYTES
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
def test_reader_of_an_endless_answer_that_takes_nothing_is_cut(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(
        server("o", start_origin().url), large(start_origin(endless).url, idle_timeout=f"{IDLE_S}s")
    )
    before = settled_holdings(sidecar)
    sidecar.forget_peak()
    resident_bytes = sidecar.resident_bytes()

    with _readers(sidecar, [0] * SIZE):
        settled(sidecar.resident_bytes)
        with Bystander(sidecar) as bystander:
            assert eventually(lambda: holdings(sidecar).busy == 0, within_s=10 * IDLE_S)
        assert_back(sidecar, before)

    each_bytes = (sidecar.peak_bytes() - resident_bytes) / SIZE
    print(f"{each_bytes / KIB:.0f} KiB for each reader of nothing")  # noqa: T201 - a figure
    assert each_bytes < MOST_EACH_BYTES
    bystander.assert_undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "behind"),
    [
        pytest.param((), b"", id="that-waits"),
        pytest.param((b"Connection: close",), b"", id="whose-last-request-it-was"),
        pytest.param((), get("/servers/large/1"), id="that-asks-for-more"),
    ],
)
def test_caller_that_takes_no_answer_is_not_kept_for_ever(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    fields: tuple[bytes, ...],
    behind: bytes,
) -> None:
    origin = start_origin(as_large_as_asked)
    sidecar = start_sidecar(large(origin.url, idle_timeout="500ms"), settings=IMPATIENT)
    before = settled_holdings(sidecar)

    with _readers(sidecar, ANSWERS_BYTES, *fields) as readers:
        assert eventually(lambda: len(origin.calls) == len(readers))
        for reader in readers:
            reader.send_as_far_as_it_goes(behind)

        assert_back(sidecar, before)


def test_caller_that_takes_no_answer_and_goes_on_with_garbage_is_not_kept_for_ever() -> None:
    with contextlib.closing(Transcript("", Rules(idle_s=7), None)) as t:
        t.client_sends(get("/servers/o/x"))
        t.upstream_sends(ok())
        t.client.is_full()

        t.client_sends(b"no HTTP\r\n\r\n")
        t.passes(60)

        assert t.client.fate == "aborted"


@pytest.mark.slow
def test_caller_that_takes_no_answer_of_the_control_plane_is_not_kept_for_ever(
    start_sidecar: StartSidecar,
) -> None:
    sidecar = start_sidecar(with_a_large_listing(), settings=IMPATIENT)
    before = settled_holdings(sidecar)

    with sidecar.caller(receive_buffer_bytes=4 * KIB) as reader:
        reader.send(get("/tools"))
        reader.some(1)

        assert_back(sidecar, before)


@contextlib.contextmanager
def _readers(
    sidecar: Sidecar, sizes_bytes: Iterable[int], *fields: bytes
) -> Iterator[list[Caller]]:
    """Callers that have each asked for an answer of this size, and read none of it."""
    with contextlib.ExitStack() as stack:
        readers = []
        for size_bytes in sizes_bytes:
            caller = stack.enter_context(sidecar.caller(receive_buffer_bytes=4 * KIB))
            caller.send(get(f"/servers/large/{size_bytes}", *fields))
            readers.append(caller)
        yield readers
