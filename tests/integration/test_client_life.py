"""A client from its options to its end: what it refuses, what it shows, what it leaves behind."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from proxy.client import (
    ClientClosedError,
    GatewayClient,
    GatewayError,
    OPAClient,
    TransportMode,
    TransportModeError,
    current_trace,
    set_trace,
)
from tests.support.client_gateway import Gateway, silence
from tests.support.client_patience import quick_client
from tests.support.ports import refusing_port
from tests.support.sidecar import ROOT

Use = Callable[[GatewayClient], Coroutine[Any, Any, object]]


async def lists(client: GatewayClient) -> object:
    return await client.list_servers()


async def invokes(client: GatewayClient) -> object:
    return await client.invoke_tool("s", "t", {})


async def streams(client: GatewayClient) -> object:
    return await anext(client.stream_events())


async def starts(client: GatewayClient) -> object:
    return await client.connect_local_server(["true"])


@pytest.mark.parametrize(
    ("mode", "use", "words"),
    [
        (
            TransportMode.HTTP_ONLY,
            streams,
            r"stream_events needs TransportMode\.AUTO or .*SSE_ONLY",
        ),
        (TransportMode.HTTP_ONLY, starts, r"connect_local_server needs .*STDIO_ONLY"),
        (TransportMode.SSE_ONLY, lists, r"list_servers needs .*HTTP_ONLY, and .* has .*SSE_ONLY"),
        (TransportMode.STDIO_ONLY, invokes, r"invoke_tool needs .*HTTP_ONLY"),
        (TransportMode.STDIO_ONLY, streams, r"stream_events needs"),
    ],
)
async def test_mode_refuses_what_it_does_not_include(
    mode: TransportMode, use: Use, words: str
) -> None:
    async with GatewayClient(transport_mode=mode) as client:
        with pytest.raises(TransportModeError, match=words):
            await use(client)


@pytest.mark.parametrize("use", [lists, invokes, streams, starts])
async def test_closed_client_says_so(use: Use) -> None:
    client = quick_client("http://127.0.0.1:1")
    await client.close()
    await client.close()

    with pytest.raises(ClientClosedError, match=r"^This client is closed; make a new one$"):
        await use(client)


async def test_closed_client_is_not_entered_again() -> None:
    client = quick_client("http://127.0.0.1:1")
    await client.close()

    with pytest.raises(ClientClosedError):
        await client.__aenter__()


@pytest.mark.parametrize(
    ("use", "path"), [(lists, "/api/v1/servers"), (invokes, "/api/v1/invoke")], ids=["read", "call"]
)
async def test_closing_ends_what_is_under_way(use: Use, path: str) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(path, silence)
        waiting = asyncio.ensure_future(use(client))  # noqa: TID251 - a test's own
        async with asyncio.timeout(10):
            await gateway.visited.wait()
        await client.close()
        with pytest.raises(ClientClosedError, match="This client was closed"):
            await waiting


async def test_client_of_another_loop_says_so() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        await client.list_servers()

        def elsewhere() -> None:
            with pytest.raises(GatewayError, match="another event loop"):
                asyncio.run(client.invoke_tool("s", "t", {}))

        await asyncio.to_thread(elsewhere)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gateway_url": "gateway:8080"}, "must begin with http"),
        ({"gateway_url": "http://"}, "name a host|cannot be read"),
        ({"gateway_url": "http://u:secret@gateway"}, "must not hold a password"),
        ({"gateway_url": "http://gateway?x=1"}, "without query"),
        ({"api_key": "a\r\nb"}, "api_key must be visible ASCII"),
        ({"timeout": 0}, "timeout is a number of seconds above 0"),
        ({"max_connections": 0}, "max_connections must be at least 1"),
        ({"retry_config": {"tries": 1}}, "tries is no option of RetryConfig"),
        ({"circuit_breaker_config": {"x": 1}}, "x is no option of CircuitBreakerConfig"),
    ],
)
def test_option_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        GatewayClient(**options)

    assert "secret" not in str(caught.value)


def test_client_is_made_without_a_loop_and_shows_no_secret() -> None:
    client = GatewayClient(
        "http://gateway:8080/", api_key="secret", opa_client=OPAClient("http://o")
    )

    assert repr(client) == "<GatewayClient http://gateway:8080 AUTO>"
    assert client.get_metrics()["active_transports"] == []


async def test_path_of_the_url_is_kept() -> None:
    async with Gateway() as gateway, quick_client(f"{gateway.url}/gate%20way/") as client:
        gateway.plays("/gate way/api/v1/invoke", silence)
        with pytest.raises(GatewayError):
            await client.invoke_tool("s", "t", {}, timeout=0.05)

    assert gateway.requests[0].raw_path == "/gate%20way/api/v1/invoke"


async def test_health_is_the_guides() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays("/api/v1/events", stream_of_nothing)
        await client.list_servers()
        _ = client._get_sse_client()
        health = await client.health_check()

    assert health["http"]["status"] == "healthy"
    assert health["http"]["cache_hit_rate"] == 0.0
    assert health["http"]["gateway"]["backends_total"] == 1
    assert (health["sse"]["status"], health["sse"]["connection_state"]) == ("connected",) * 2
    assert health["error_handler"]["circuit_breaker"]["state"] == "closed"
    assert health["error_handler"]["circuit_breaker"]["failure_count"] == 0


async def stream_of_nothing(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b": ka\n")
    await asyncio.Event().wait()
    return response


async def test_health_of_a_gateway_that_is_not_there_is_told_not_raised() -> None:
    with refusing_port() as port:
        async with quick_client(f"http://127.0.0.1:{port}") as client:
            client._get_sse_client()
            health = await client.health_check()

    assert (health["http"]["status"], health["sse"]["status"]) == ("unreachable", "disconnected")
    assert "cannot be reached" in health["http"]["reason"]


FORGOTTEN = """
import asyncio
from proxy.client import ConnectError, GatewayClient

async def main():
    client = GatewayClient("http://127.0.0.1:%d", enable_error_handling=False)
    try:
        await client.list_servers()
    except ConnectError:
        print("not there")

asyncio.run(main())
"""


def test_client_that_is_forgotten_warns_at_most() -> None:
    with refusing_port() as port:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "always", "-c", FORGOTTEN % port],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )

    assert (done.returncode, done.stdout) == (0, "not there\n")
    assert "ResourceWarning" in done.stderr
    assert "Traceback" not in done.stderr


async def test_two_tasks_have_two_traces() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:

        async def call(trace_id: str) -> None:
            set_trace(trace_id)
            await client.invoke_tool("s", trace_id, {})

        await asyncio.gather(call("flow-1"), call("flow-2"))

    sent = {request.headers["X-Chora-Trace-Id"] for request in gateway.requests}
    assert (sent, current_trace()) == ({"flow-1", "flow-2"}, None)


async def test_a_hundred_calls_use_the_pool() -> None:
    peers: set[object] = set()

    async def note(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({})

    async with Gateway() as gateway, quick_client(gateway.url, max_connections=5) as client:
        gateway.invokes(note)
        await asyncio.gather(*(client.invoke_tool("s", "t", {}) for _ in range(100)))

    assert len(peers) <= 5
