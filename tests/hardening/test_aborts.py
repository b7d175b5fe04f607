"""Aborted after every single byte, by either side: nothing is left over."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.support.caller import BrokenOffError, Caller
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_holdings import assert_back, settled_holdings
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, message, post_chunked
from tests.support.origin import Origin, Script, Visit
from tests.support.scripts import echo
from tests.support.sidecar import NEVER_OPENS, Sidecar, registry, server
from tests.support.waiting import eventually

LEAVINGS: Final = [
    pytest.param(Caller.leave, id="closes"),
    pytest.param(Caller.reset, id="resets"),
]
REQUEST: Final = post_chunked(
    "/tools/cut.call", b"X-A: b", body=b"4;e=x\r\nwild\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n"
)
ANSWER: Final = message(
    b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(b"wild", b"!")
)
HEAD_BYTES: Final = ANSWER.index(b"\r\n\r\n") + 4


@pytest.fixture(scope="module")
def origins(loop_thread: LoopThread) -> Iterator[list[Origin]]:
    """One for the bystander, one that is cut."""
    found = [Origin(echo), Origin(echo)]
    for origin in found:
        loop_thread.run(origin.start())
    yield found
    for origin in found:
        loop_thread.run(origin.stop())


@pytest.fixture(scope="module")
def sidecar(origins: list[Origin], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    servers = registry(
        server("o", origins[0].url), server("cut", origins[1].url, circuit=NEVER_OPENS)
    )
    started = Sidecar(tmp_path_factory.mktemp("aborts"), servers)
    yield started
    started.close()


@pytest.fixture
def cut(origins: list[Origin]) -> Origin:
    origins[1].forget(echo)
    return origins[1]


@pytest.mark.slow
@pytest.mark.parametrize("leave", LEAVINGS)
def test_caller_may_go_after_any_byte_of_its_request(
    sidecar: Sidecar, cut: Origin, leave: Callable[[Caller], None]
) -> None:
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander:
        callers = [sidecar.caller() for _ in range(len(REQUEST) + 1)]
        for length, caller in enumerate(callers):
            caller.send(REQUEST[:length])
        sidecar.get("/livez")  # what was sent before has been read by now
        for caller in callers:
            leave(caller)

    bystander.assert_undisturbed()
    assert_back(sidecar, before)
    assert eventually(lambda: _all_over(cut))
    sidecar.assert_no_traceback()


@pytest.mark.slow
@pytest.mark.parametrize("leave", LEAVINGS)
def test_caller_may_go_after_any_byte_of_the_answer(
    sidecar: Sidecar, cut: Origin, leave: Callable[[Caller], None]
) -> None:
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander:
        for length in range(len(ANSWER) + 1):
            cut.forget(says_no_more_than(ANSWER[:length]))
            with sidecar.caller() as caller:
                caller.send(REQUEST)
                assert eventually(lambda: cut.calls)
                if length >= HEAD_BYTES:
                    caller.until(b"\r\n\r\n")
                leave(caller)

            assert eventually(lambda: _all_over(cut))

    bystander.assert_undisturbed()
    assert_back(sidecar, before)
    sidecar.assert_no_traceback()


@pytest.mark.slow
@pytest.mark.parametrize("cut_off", [Visit.close, Visit.reset], ids=["closes", "resets"])
def test_upstream_may_go_after_any_byte_of_its_answer(
    sidecar: Sidecar, cut: Origin, cut_off: Callable[[Visit], None]
) -> None:
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander:
        came = [_verdict(sidecar, cut, ANSWER[:n], cut_off) for n in range(len(ANSWER) + 1)]

    in_the_body = len(ANSWER) - HEAD_BYTES
    assert came == ["502"] * HEAD_BYTES + ["broken off"] * in_the_body + ["200"]
    bystander.assert_undisturbed()
    assert_back(sidecar, before)
    sidecar.assert_no_traceback()


def says_no_more_than(octets: bytes) -> Script:
    async def script(visit: Visit) -> None:
        await visit.read()
        await visit.send(octets)
        if octets != ANSWER:
            await asyncio.Event().wait()

    return script


def says_and_goes(octets: bytes, go: Callable[[Visit], None]) -> Script:
    async def script(visit: Visit) -> None:
        await visit.read()
        await visit.send(octets)
        go(visit)

    return script


def _verdict(sidecar: Sidecar, cut: Origin, octets: bytes, go: Callable[[Visit], None]) -> str:
    cut.forget(says_and_goes(octets, go))
    try:
        return str(sidecar.ask(REQUEST).status)
    except BrokenOffError:
        return "broken off"


def _all_over(origin: Origin) -> bool:
    """No call is under way; of connections, only kept ones are open."""
    return all(call.complete or call.connection.ending for call in origin.calls)
