"""The client with the real sidecar: what was counted at the origin, what came over the stream."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from proxy.client import (
    CircuitBreakerError,
    Event,
    GatewayClient,
    GatewayError,
    NotFoundError,
    RetryExhaustedError,
    TimeoutError,  # noqa: A004 - the client's own
    with_timeout,
)
from tests.support.client_cutter import cutter
from tests.support.client_patience import quick_client
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers, echo, holds
from tests.support.sidecar import NEVER_OPENS, Sidecar, registry, server
from tests.support.starters import StartSidecar

BUSY = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
AWAY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
JSON = b"Content-Type: application/json"
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


@pytest.fixture(scope="module")
def shared_origin(loop_thread: LoopThread) -> Iterator[Origin]:
    started = loop_thread.run(Origin(echo).start())
    yield started
    loop_thread.run(started.stop())


@pytest.fixture
def origin(shared_origin: Origin) -> Origin:
    shared_origin.forget(echo)
    return shared_origin


@pytest.fixture(scope="module")
def sidecar(shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for all; its servers differ."""
    url = shared_origin.url
    tools = [{"name": "a", "input_schema": SCHEMA, "sensitivity_level": "high"}, {"name": "b"}]
    servers = registry(
        server("s", url, circuit=NEVER_OPENS),
        server("t", url, tools=tools),
        server("fragile", url, circuit={"failures": 1, "open_for": "100s"}),
        server("hasty", url, timeout="200ms", circuit=NEVER_OPENS),
        server("nowhere", "http://127.0.0.1:9", circuit=NEVER_OPENS),
    )
    started = Sidecar(tmp_path_factory.mktemp("client"), servers)
    yield started
    started.close()


def client_of(sidecar: Sidecar, **options: object) -> GatewayClient:
    return quick_client(f"http://127.0.0.1:{sidecar.port}", **options)


async def test_parameters_reach_the_tool_as_they_were_sent(
    sidecar: Sidecar, origin: Origin
) -> None:
    parameters = {"n": 123456789012345678901234567890, "t": "ü", "f": 1.5}
    async with client_of(sidecar) as client:
        seen = await client.invoke_tool("s", "call", parameters, trace_id="flow-0")

    sent = '{"n":123456789012345678901234567890,"t":"ü","f":1.5}'
    assert bytes(origin.calls[0].body) == sent.encode()
    assert ["X-Chora-Trace-Id", "flow-0"] in seen["headers"]


async def test_lists_are_the_sidecars(sidecar: Sidecar, origin: Origin) -> None:
    async with client_of(sidecar) as client:
        servers = await client.list_all_servers()
        (first, second) = await client.list_all_tools("t")
        one = await client.get_server_info("s")
        with pytest.raises(NotFoundError, match="No server is called nobody"):
            await client.get_server_info("nobody")

    counts = {each.server_name: each.tools_count for each in servers}
    assert counts == {"fragile": 1, "hasty": 1, "nowhere": 1, "s": 1, "t": 2}
    assert (first.tool_name, first.sensitivity_level, second.description) == ("a", "high", "")
    assert first.parameters == [{"name": "q", "type": "string", "required": True}]
    assert (one.server_name, one.server_url) == ("s", origin.url)


async def test_more_servers_than_a_page_has_are_each_there_once(
    start_sidecar: StartSidecar,
) -> None:
    names = [f"s{number:04}" for number in range(1001)]
    crowded = start_sidecar(*(server(name, "http://127.0.0.1:9") for name in names))
    async with client_of(crowded) as client:
        servers, tools = await asyncio.gather(client.list_all_servers(), client.list_all_tools())

    assert [each.server_name for each in servers] == names
    assert [each.server_name for each in tools] == names


async def test_old_list_is_revalidated_by_the_sidecars_tag(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.client.cache.FRESH_FOR_S", 0.0)
    async with client_of(sidecar) as client:
        before = await client.list_tools()
        assert await client.list_tools() == before

        assert client.get_metrics()["http_cache"]["revalidated"] == 1


async def test_tools_own_failure_is_posted_once(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(BUSY)
    async with client_of(sidecar) as client:
        with pytest.raises(GatewayError, match=r"s\.call was answered with 500") as caught:
            await client.invoke_tool("s", "call", {})

    assert (len(origin.calls), caught.value.code) == (1, None)


async def test_upstream_that_is_not_there_is_sought_again_by_invitation(sidecar: Sidecar) -> None:
    async with client_of(sidecar) as client:
        with pytest.raises(RetryExhaustedError) as caught:
            await client.invoke_tool("nowhere", "call", {})

    assert (caught.value.status, caught.value.retryable) in ((502, True), (503, True))


async def test_sidecars_open_circuit_is_a_circuit_breaker_error(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = answers(AWAY)
    async with client_of(sidecar) as client:
        with pytest.raises(GatewayError, match="503"):
            await client.invoke_tool("fragile", "call", {})
        with pytest.raises(CircuitBreakerError, match="circuit_open"):
            await client.invoke_tool("fragile", "call", {})

    assert len(origin.calls) == 1


async def test_circuit_is_one_per_server(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(BUSY)
    async with client_of(sidecar) as client:
        for _ in range(5):
            with pytest.raises(GatewayError, match="500"):
                await client.invoke_tool("s", "call", {})
        with pytest.raises(CircuitBreakerError, match="circuit of s is open"):
            await client.invoke_tool("s", "call", {})
        origin.script = echo
        await client.invoke_tool("t", "b", {})

    assert len(origin.calls) == 6


async def test_call_may_last_longer_than_the_default_and_the_tools_own(
    sidecar: Sidecar, origin: Origin
) -> None:
    async def slow(visit: Visit) -> None:
        await asyncio.sleep(0.5)
        await echo(visit)

    origin.script = slow
    async with client_of(sidecar, timeout=0.4) as client:
        with pytest.raises(TimeoutError):
            await client.invoke_tool("hasty", "call", {})
        seen = await with_timeout(
            client.invoke_tool,
            server_name="hasty",
            tool_name="call",
            parameters={},
            timeout_seconds=300.0,
        )

    assert seen["body"] == "{}"


async def test_stream_over_a_way_that_is_cut_twenty_times_has_no_gap_and_no_repeat(
    sidecar: Sidecar,
) -> None:
    found: list[Event] = []
    async with (
        cutter(sidecar.port) as way,
        quick_client(way.url) as listener,
        client_of(sidecar, enable_error_handling=False) as caller,
        aclosing(listener.stream_events(["tool_invoked"])) as stream,
        asyncio.timeout(50),
    ):
        await call(caller, 0)  # one that nobody hears: a stream begins with now
        first = asyncio.ensure_future(anext(stream))  # noqa: TID251 - a test's own
        while not first.done():
            await call(caller, -1)
        found.append(await first)
        for number in range(1, 21):
            for each in range(10):
                await call(caller, number * 10 + each)
            way.cut()
            while number * 10 + 9 not in heard(found):
                found.append(await anext(stream))

    assert [number for number in heard(found) if number > 0] == list(range(10, 210))
    assert len({event.event_id for event in found}) == len(found)
    assert listener.get_metrics()["active_transports"] == ["sse"]


def heard(events: list[Event]) -> list[int]:
    return [int(str(event.document["trace_id"]).removeprefix("n")) for event in events]


async def call(client: GatewayClient, number: int) -> None:
    with pytest.raises(NotFoundError):  # answered by the sidecar itself, so it costs little
        await client.invoke_tool("s", "nothing", {}, trace_id=f"n{number}")


@pytest.mark.usefixtures("origin")
async def test_events_and_summary_tell_of_a_trace(sidecar: Sidecar) -> None:
    async with client_of(sidecar) as client:
        await client.invoke_tool("s", "call", {}, trace_id="flow-1")
        await client.invoke_tool("s", "call", {}, trace_id="flow-2")
        (event,) = await client.events_for("flow-1")
        summed = await client.summary("flow-1")

    assert (event["event_type"], event["trace_id"]) == ("tool_invoked", "flow-1")
    assert summed["trace_id"] == "flow-1"


async def test_broken_connection_makes_the_call_once(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate, here = loop_thread.gate(), asyncio.get_running_loop()
    arrived = asyncio.Event()

    async def script(visit: Visit) -> None:
        here.call_soon_threadsafe(arrived.set)
        await holds(gate, answers(ok(b"{}", JSON)))(visit)

    origin.script = script
    async with cutter(sidecar.port) as way, quick_client(way.url) as client:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            waiting = group.create_task(client.invoke_tool("s", "call", {}))
            await arrived.wait()
            way.cut()
            gate.open()
        repeats = client.get_metrics()["error_handler"]["retry"]["total_retries"]

    assert (waiting.result(), len(origin.calls), repeats) == ({}, 1, 1)


async def test_health_is_the_sidecars(sidecar: Sidecar) -> None:
    async with client_of(sidecar) as client:
        await client.list_servers()
        client._get_sse_client()
        health = await client.health_check()

    assert (health["http"]["status"], health["sse"]["status"]) == ("healthy", "connected")
    assert health["http"]["gateway"]["backends_total"] == 5
