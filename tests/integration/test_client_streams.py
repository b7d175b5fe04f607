"""A stream goes on where it was, and ends when somebody says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web

from proxy.client import (
    AuthenticationError,
    ClientClosedError,
    ConnectionLostError,
    Event,
    GatewayClient,
    GatewayError,
    NotFoundError,
    PermissionError,  # noqa: A004 - the client's own
    RetryExhaustedError,
)
from tests.support.client_gateway import Gateway, answer, refusal
from tests.support.client_patience import quick_client
from tests.support.client_stream import Stream, message
from tests.support.ports import refusing_port

EVENTS = "/api/v1/events"


async def numbers(client: GatewayClient) -> list[int]:
    return [event.document["n"] async for event in client.stream_events()]  # type: ignore[misc]  # JSON


def says(*octets: bytes) -> Stream:
    """Each connection gets the next of these, and is ended."""

    class Sayings(Stream):
        async def __call__(self, request: web.Request) -> web.StreamResponse:
            self.last_ids.append(request.headers.get("Last-Event-ID"))
            if not waiting:
                return web.Response(status=204)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(waiting.pop(0))
            return response

    waiting = list(octets)
    return Sayings(0)


async def test_stream_that_is_cut_twenty_times_has_no_gap_and_no_repeat() -> None:
    stream = Stream(200, cuts=[number % 10 for number in range(1, 21)])
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, stream)
        found = await numbers(client)

    assert found == list(range(1, 201))
    assert len(stream.last_ids) == 22


async def test_filters_and_caller_go_to_the_gateway() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, api_key="key") as client:
        gateway.plays("/api/v1/audit/stream", says())
        stream = client.stream_events(
            event_types=["tool_invoked", "error"],
            server="s",
            trace_id="flow 1",
            status="failure",
            endpoint="/api/v1/audit/stream",
            user_token="jwt",  # noqa: S106 - of a test
            last_event_id="k-7",
        )
        assert [event async for event in stream] == []

    (request,) = gateway.requests
    assert dict(request.query) == {
        "types": "tool_invoked,error",
        "server": "s",
        "trace_id": "flow 1",
        "status": "failure",
    }
    names = ("X-API-Key", "Authorization", "Accept", "Last-Event-ID")
    sent = [request.headers[name] for name in names]
    assert sent == ["key", "Bearer jwt", "text/event-stream", "k-7"]


async def test_events_are_the_guides() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, says(message(7)))
        (event,) = [event async for event in client.stream_events(["tool_invoked"])]

    assert (event.event_type, event.data, event.event_id) == ("tool_invoked", '{"n":7}', "7")


async def test_gap_is_told_under_a_type_filter_too() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, says(message(9, "gap") + message(10)))
        found = [event.event_type async for event in client.stream_events(["tool_invoked"])]

    assert found == ["gap", "tool_invoked"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, PermissionError), (404, NotFoundError), (400, GatewayError)],
)
async def test_refusal_ends_it(status: int, kind: type[GatewayError]) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, refusal(status, "no"))
        with pytest.raises(kind, match="stream_events failed: No"):
            await anext(client.stream_events())

    assert len(gateway.requests) == 1


async def test_refusal_ends_a_stream_that_was_there() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, says(message(1)), refusal(401, "unauthenticated"))
        found: list[Event] = []
        with pytest.raises(AuthenticationError):
            found.extend([event async for event in client.stream_events()])

    assert gateway.values("Last-Event-ID") == [None, "1"]


async def test_503_is_waited_out() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        busy = refusal(503, "draining", retryable=True, retry_after="0")
        gateway.plays(EVENTS, busy, busy, says(message(1)), *[busy] * 5, says())
        assert await numbers(client) == [1]

    assert len(gateway.requests) == 9


async def test_stream_that_never_was_is_given_up() -> None:
    with refusing_port() as port:
        async with quick_client(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(RetryExhaustedError, match=r"Tried 3 times; .* cannot be reached"):
                await anext(client.stream_events())


async def test_gateways_retry_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, says(b"retry: 400\n" + message(1), message(2)))
        began = loop.time()
        assert await numbers(client) == [1, 2]

    assert loop.time() - began >= 0.2  # jitter takes up to half of it off


async def test_answer_that_is_no_stream_is_an_error() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, answer({"events": []}))
        with pytest.raises(GatewayError, match="no event stream"):
            await anext(client.stream_events())


async def test_without_error_handling_a_broken_stream_is_an_error() -> None:
    options = {"enable_error_handling": False}
    async with Gateway() as gateway, quick_client(gateway.url, **options) as client:
        gateway.plays(EVENTS, Stream(3))
        stream = client.stream_events()
        found = [(await anext(stream)).event_id for _ in range(3)]
        with pytest.raises(ConnectionLostError, match="the gateway ended the stream"):
            await anext(stream)

    assert found == ["1", "2", "3"]


async def test_leaving_closes_the_connection_at_once() -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(message(1))
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, endless)
        async with aclosing(client.stream_events()) as stream:
            async for event in stream:
                assert event.event_id == "1"
                assert (await client.health_check())["sse"]["streams"] == 1
                break
        async with asyncio.timeout(10):
            await left.wait()


async def test_client_that_closes_ends_its_streams() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(EVENTS, endless_after_one)
        stream = client.stream_events()
        await anext(stream)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(next_or_error(stream))
            await asyncio.sleep(0)
            await client.close()

    assert isinstance(waiting.result(), ClientClosedError)


async def endless_after_one(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(message(1))
    await asyncio.Event().wait()
    return response


async def next_or_error(stream: AsyncIterator[Event]) -> Exception | None:
    try:
        await anext(stream)
    except GatewayError as error:
        return error
    return None


async def test_fifty_streams_leave_the_pool_to_calls() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, max_connections=1) as client:
        gateway.plays(EVENTS, endless_after_one)
        streams = [client.stream_events() for _ in range(5)]
        for stream in streams:
            await anext(stream)
        assert await client.list_servers()
        for stream in streams:
            await stream.aclose()
