"""An invocation is sent once, and again only where that does no harm."""

import asyncio
import builtins

import pytest
from aiohttp import web

from proxy.client import (
    AuthenticationError,
    CircuitBreakerError,
    ConnectError,
    GatewayError,
    NotFoundError,
    PermissionError,  # noqa: A004 - the client's own
    RetryExhaustedError,
    TimeoutError,  # noqa: A004 - the client's own
    set_trace,
    with_timeout,
)
from tests.support.client_gateway import Gateway, Script, answer, cut, half, refusal, silence
from tests.support.client_patience import quick_client
from tests.support.ports import refusing_port

INVOKE = "/api/v1/invoke"
OK = answer({"rows": [1]})


async def test_call_is_one_post_with_everything_it_needs() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, api_key="key") as client:
        result = await client.invoke_tool("s", "t", {"a": "ü"}, user_token="jwt", trace_id="flow")  # noqa: S106 - of a test

    (request,) = gateway.requests
    assert result == {"rows": [1]}
    assert (request.method, request.path, request.content_type) == (
        "POST",
        INVOKE,
        "application/json",
    )
    assert gateway.bodies == ['{"server":"s","tool":"t","parameters":{"a":"ü"}}'.encode()]
    sent = [request.headers[name] for name in ("X-API-Key", "Authorization", "X-Chora-Trace-Id")]
    assert sent == ["key", "Bearer jwt", "flow"]
    assert len(request.headers["Idempotency-Key"]) == 32
    assert "Request-Timeout" not in request.headers


async def test_reads_carry_the_key_and_no_token() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, api_key="key") as client:
        set_trace("flow")
        await client.list_servers()
        set_trace(None)

    (request,) = gateway.requests
    assert request.headers["X-API-Key"] == "key"
    assert request.headers["X-Chora-Trace-Id"] == "flow"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(cut, id="no-answer"),
        pytest.param(refusal(503, "draining", retryable=True, retry_after="0"), id="invited-503"),
        pytest.param(refusal(429, "queue_full", retryable=True, retry_after="0"), id="invited-429"),
        pytest.param(refusal(502, "connect_failed", retryable=True), id="it-could-not-connect"),
    ],
)
async def test_what_may_be_repeated_is_with_the_same_key(first: Script) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(first, OK)
        assert await client.invoke_tool("s", "t", {}) == {"rows": [1]}

    keys = gateway.values("Idempotency-Key")
    assert (len(keys), len(set(keys))) == (2, 1)


async def test_next_invocation_has_another_key() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        await client.invoke_tool("s", "t", {})
        await client.invoke_tool("s", "t", {})
        await client.invoke_tool("s", "t", {}, idempotency_key="mine")

    first, second, third = gateway.values("Idempotency-Key")
    assert (first != second, third) == (True, "mine")


EXHAUSTED = RetryExhaustedError


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(answer({}, 400), GatewayError, id="tools-400"),
        pytest.param(answer({}, 500), EXHAUSTED, id="tools-500"),
        pytest.param(answer({}, 503), EXHAUSTED, id="tools-503"),
        pytest.param(answer({}, 404), NotFoundError, id="tools-404"),
        pytest.param(refusal(401, "unauthenticated"), AuthenticationError, id="401"),
        pytest.param(refusal(403, "forbidden"), PermissionError, id="403"),
        pytest.param(refusal(404, "tool_not_found"), NotFoundError, id="404"),
        pytest.param(refusal(502, "upstream_closed"), EXHAUSTED, id="upstream-closed"),
        pytest.param(refusal(504, "upstream_timeout"), TimeoutError, id="upstream-timeout"),
        pytest.param(refusal(503, "draining", retry_after="0"), EXHAUSTED, id="not-invited"),
        pytest.param(refusal(503, "draining", retryable=True), EXHAUSTED, id="no-retry-after"),
        pytest.param(half(b'{"rows'), EXHAUSTED, id="half-an-answer"),
    ],
)
async def test_what_may_not_be_repeated_is_posted_once(
    script: Script, kind: type[GatewayError]
) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(script)
        with pytest.raises(kind) as caught:
            await client.invoke_tool("s", "t", {})

    assert (type(caught.value), gateway.count(INVOKE)) == (kind, 1)
    assert str(caught.value).startswith("s.t")


async def test_without_leave_a_broken_connection_is_not_repeated() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(cut)
        with pytest.raises(RetryExhaustedError, match=r"s\.t: http://.* did not answer"):
            await client.invoke_tool("s", "t", {}, repeat_broken=False)

    assert gateway.count(INVOKE) == 1


async def test_call_too_large_for_the_gateways_memory_is_not_repeated() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(cut)
        with pytest.raises(RetryExhaustedError):
            await client.invoke_tool("s", "t", {"a": "x" * (256 << 10)})

    assert gateway.count(INVOKE) == 1


async def test_all_attempts_are_told_with_the_last_as_cause() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(refusal(503, "draining", retryable=True, retry_after="0"))
        with pytest.raises(
            RetryExhaustedError, match=r"Tried 3 times; at last: s\.t failed: No"
        ) as caught:
            await client.invoke_tool("s", "t", {})

    assert (gateway.count(INVOKE), caught.value.attempts, caught.value.status) == (3, 3, 503)
    assert caught.value.__cause__ is caught.value.last
    assert caught.value.trace_id == "flow-1"


async def test_gateway_that_is_not_there_is_sought_and_named() -> None:
    with refusing_port() as port:
        async with quick_client(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(RetryExhaustedError, match="cannot be reached") as caught:
                await client.invoke_tool("s", "t", {})

    assert isinstance(caught.value.__cause__, ConnectError)


async def test_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(refusal(503, "circuit_open", retryable=True, retry_after="300"))
        with pytest.raises(CircuitBreakerError) as caught:
            await client.invoke_tool("s", "t", {})

    assert (caught.value.retry_after_s, gateway.count(INVOKE)) == (300, 1)


async def test_error_handling_that_is_off_repeats_nothing() -> None:
    options = {"enable_error_handling": False}
    async with Gateway() as gateway, quick_client(gateway.url, **options) as client:
        gateway.invokes(refusal(503, "draining", retryable=True, retry_after="0"))
        for _ in range(7):
            with pytest.raises(GatewayError, match=r"s\.t failed: No"):
                await client.invoke_tool("s", "t", {})

        assert "error_handler" not in client.get_metrics()
    assert gateway.count(INVOKE) == 7


async def test_circuit_of_one_server_opens_and_the_others_go_on() -> None:
    options = {"circuit_breaker_config": {"failure_threshold": 5}}
    async with Gateway() as gateway, quick_client(gateway.url, **options) as client:
        gateway.invokes(*[answer({}, 500)] * 5, OK)
        for _ in range(5):
            with pytest.raises(GatewayError, match="500"):
                await client.invoke_tool("ill", "t", {})
        with pytest.raises(CircuitBreakerError, match="circuit of ill is open"):
            await client.invoke_tool("ill", "t", {})
        assert await client.invoke_tool("well", "t", {}) == {"rows": [1]}
        circuits = client.get_metrics()["error_handler"]["circuit_breaker"]

    assert gateway.count(INVOKE) == 6
    assert (circuits["state"], circuits["total_calls"], circuits["total_failures"]) == (
        "open",
        6,
        5,
    )
    states = {name: each["state"] for name, each in circuits["per_server"].items()}
    assert states == {"ill": "open", "well": "closed"}


async def test_refusals_open_no_circuit() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(answer({}, 422))
        for _ in range(10):
            with pytest.raises(GatewayError, match="422"):
                await client.invoke_tool("s", "t", {})

    assert gateway.count(INVOKE) == 10


async def test_circuit_closes_after_two_good_trials() -> None:
    options = {"circuit_breaker_config": {"failure_threshold": 1, "timeout_seconds": 0}}
    async with Gateway() as gateway, quick_client(gateway.url, **options) as client:
        gateway.invokes(answer({}, 500), OK)
        with pytest.raises(GatewayError):
            await client.invoke_tool("s", "t", {})
        states = []
        for _ in range(2):
            await client.invoke_tool("s", "t", {})
            states.append(client.get_metrics()["error_handler"]["circuit_breaker"]["state"])

    assert states == ["half_open", "closed"]


async def test_default_ends_a_call() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, timeout=0.05) as client:
        gateway.invokes(silence)
        with pytest.raises(builtins.TimeoutError, match=r"s\.t did not end within 0\.05 s"):
            await client.invoke_tool("s", "t", {})
        circuits = client.get_metrics()["error_handler"]["circuit_breaker"]

    assert (gateway.count(INVOKE), circuits["total_failures"]) == (1, 1)


async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.4)
    return await OK(request)


@pytest.mark.parametrize("way", ["with_timeout", "keyword"])
async def test_longer_timeout_of_one_call_is_longer(way: str) -> None:
    async with Gateway() as gateway, quick_client(gateway.url, timeout=0.1) as client:
        gateway.invokes(slow)
        if way == "with_timeout":
            result = await with_timeout(
                client.invoke_tool,
                server_name="s",
                tool_name="t",
                parameters={},
                timeout_seconds=300.0,
            )
        else:
            result = await client.invoke_tool("s", "t", {}, timeout=300)

    assert result == {"rows": [1]}
    assert 290 < float(gateway.values("Request-Timeout")[0] or 0) <= 300


async def test_with_timeout_that_ends_counts_against_the_server() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(silence)
        with pytest.raises(TimeoutError, match=r"s\.t did not end within 0\.05 s"):
            await with_timeout(client.invoke_tool, "s", "t", {}, timeout_seconds=0.05)
        circuit = client.get_metrics()["error_handler"]["circuit_breaker"]["per_server"]["s"]

    assert circuit["total_failures"] == 1


async def test_caller_that_leaves_is_nobodys_failure() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.invokes(silence)
        with pytest.raises(builtins.TimeoutError):
            await asyncio.wait_for(client.invoke_tool("s", "t", {}), 0.05)
        circuit = client.get_metrics()["error_handler"]["circuit_breaker"]["per_server"]["s"]

    assert (circuit["total_calls"], circuit["total_failures"]) == (1, 0)


async def test_parameters_that_are_no_json_are_not_sent() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        with pytest.raises(ValueError, match="parameters cannot be written as JSON"):
            await client.invoke_tool("s", "t", {"a": object()})

    assert gateway.requests == []


async def test_redirect_is_not_followed_with_credentials() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, api_key="key") as client:
        gateway.invokes(elsewhere)
        with pytest.raises(GatewayError, match="302 Found"):
            await client.invoke_tool("s", "t", {})

    assert len(gateway.requests) == 1


async def elsewhere(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def test_large_numbers_come_and_go_unchanged() -> None:
    number = 123456789012345678901234567890
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        await client.invoke_tool("s", "t", {"n": number})

    assert str(number) in gateway.bodies[0].decode()
