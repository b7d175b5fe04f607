"""`GatewayClient`: everything that a caller asks of a gateway, in one place.

Chooses the transport, names the target, and puts deadline, policy, circuit and repeats around each
call. How each of them works is their own modules' business.
"""

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from proxy.client.breaker import Breakers, CircuitBreakerConfig
from proxy.client.calls import Call, invoke
from proxy.client.catalog import EVENTS, Asking, Catalog
from proxy.client.child import MOST_LINE_BYTES
from proxy.client.deadline import checked_span_s, deadline_of
from proxy.client.error_handler import ErrorHandler
from proxy.client.fields import caller_fields, visible
from proxy.client.http import HttpTransport, Request
from proxy.client.listing import with_query
from proxy.client.local_servers import LocalServers
from proxy.client.models import Event, Server, Tool
from proxy.client.modes import TransportMode
from proxy.client.opa import OPAClient
from proxy.client.retrieval import Retrieval, Retrieving
from proxy.client.retry import RetryConfig, configured
from proxy.client.session import Connections, base_url_of
from proxy.client.sse import SseTransport
from proxy.client.status import of_http, of_sse
from proxy.client.stdio import LocalServer, OnNotification


class GatewayClient(Retrieving):
    """A client of one gateway, for one event loop.

    `timeout` in seconds is for a whole call, repeats included. `api_key` goes out with everything
    (`X-API-Key`). With `enable_error_handling` a server that keeps failing is left alone for a
    while (`circuit_breaker_config`: `failure_threshold`, `timeout_seconds`, `success_threshold`)
    and what may be repeated is (`retry_config`: `max_attempts`, `initial_delay`, `max_delay`,
    `exponential_base`, `jitter`). With an `opa_client` each invocation is allowed first.

    Repeated are: whatever was not sent, since there was no connection; whatever the gateway
    invites to send again (`retryable` in its problem document, 429 and 503 with `Retry-After`);
    reads; and an invocation whose connection broke before its answer began, since the gateway
    makes it once by its `Idempotency-Key`. A tool's own answer is never asked for twice, whatever
    its status, and nothing is repeated once the call's time is over.

    Every method raises `GatewayError`: `ConnectError`, `ConnectionLostError`, `TimeoutError`,
    `AuthenticationError` (401), `PermissionError` (403), `NotFoundError` (404),
    `CircuitBreakerError`, `RetryExhaustedError`, `ClientClosedError`, `TransportModeError`; and
    `ValueError` for arguments that cannot be sent.

    >>> async def main() -> None:
    ...     async with GatewayClient(gateway_url=URL, api_key="your-api-key") as client:
    ...         for server in await client.list_all_servers():
    ...             print(server.server_name, server.tools_count)
    >>> asyncio.run(main())
    postgres-mcp 1
    """

    def __init__(  # noqa: PLR0913 - the guide's options
        self,
        gateway_url: str = "http://localhost:8080",
        api_key: str | None = None,
        timeout: float = 30.0,
        max_connections: int = 50,
        transport_mode: TransportMode = TransportMode.AUTO,
        opa_client: OPAClient | None = None,
        *,
        enable_error_handling: bool = True,
        circuit_breaker_config: CircuitBreakerConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | Mapping[str, object] | None = None,
    ) -> None:
        self._base_url = base_url_of(gateway_url)
        self._api_key = None if api_key is None else visible("api_key", api_key)
        self._timeout_s = checked_span_s("timeout", timeout)
        self._mode = transport_mode
        self._opa = opa_client
        breakers = Breakers(
            configured(CircuitBreakerConfig, circuit_breaker_config), time.monotonic
        )
        retry = configured(RetryConfig, retry_config)
        self._handler = (
            ErrorHandler(breakers, retry) if enable_error_handling else ErrorHandler(None, None)
        )
        self._connections = Connections(max_connections)
        self._http = HttpTransport(self._base_url, self._connections, self._handler)
        self._sse: SseTransport | None = None
        self._local = LocalServers(self._timeout_s)
        self._catalog = Catalog(self._http, self._timeout_s)
        self._retrieval = Retrieval(self._http, self._asking, self._timeout_s)

    def __repr__(self) -> str:
        return f"<GatewayClient {self._base_url} {self._mode.name}>"

    async def __aenter__(self) -> Self:
        self._connections.require_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # --- servers and tools ---

    async def list_servers(
        self,
        page: int = 1,
        page_size: int = 100,
        *,
        user_token: str | None = None,
        fresh: bool = False,
    ) -> list[Server]:
        """One page of the servers that this caller may call; pages count from 1.

        Reads are kept for 5 minutes, by caller and full request, and then asked for by `ETag`;
        `fresh=True` asks anew. Equal reads at the same time are one request.
        """
        asking = self._asking("list_servers", user_token, fresh=fresh)
        return await self._catalog.servers(asking, page, page_size)

    async def list_all_servers(
        self, *, user_token: str | None = None, fresh: bool = False
    ) -> list[Server]:
        """All servers, each once: a list that changes while it is read is read again."""
        asking = self._asking("list_all_servers", user_token, fresh=fresh)
        return await self._catalog.all_servers(asking)

    async def get_server_info(
        self, server_name: str, *, user_token: str | None = None, fresh: bool = False
    ) -> Server:
        """One server; `NotFoundError` where there is none of this name."""
        asking = self._asking("get_server_info", user_token, fresh=fresh)
        return await self._catalog.server(asking, server_name)

    async def list_tools(
        self,
        server_name: str | None = None,
        page: int = 1,
        page_size: int = 100,
        *,
        user_token: str | None = None,
        fresh: bool = False,
    ) -> list[Tool]:
        """One page of the tools, of one server or of all; pages count from 1."""
        asking = self._asking("list_tools", user_token, fresh=fresh)
        return await self._catalog.tools(asking, server_name, page, page_size)

    async def list_all_tools(
        self,
        server_name: str | None = None,
        *,
        user_token: str | None = None,
        fresh: bool = False,
    ) -> list[Tool]:
        """All tools, of one server or of all, each once."""
        asking = self._asking("list_all_tools", user_token, fresh=fresh)
        return await self._catalog.all_tools(asking, server_name)

    # --- calls ---

    async def invoke_tool(  # noqa: PLR0913 - the guide's options, and leave to repeat
        self,
        server_name: str,
        tool_name: str,
        parameters: Mapping[str, object] | None = None,
        user_token: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the gateway is told of it
        trace_id: str | None = None,
        *,
        idempotency_key: str | None = None,
        repeat_broken: bool = True,
    ) -> Any:  # as JSON is
        """What the tool answers: JSON as Python has it, text as `str`, else `bytes`, or None.

        `timeout` in seconds, else that of `with_timeout`, else the client's; one that is asked
        for goes out as `Request-Timeout`, so that the gateway waits as long. `user_token` goes out
        as `Authorization: Bearer`, and to OPA as `input.user.token`. One `idempotency_key` is made
        for each invocation and stays the same over its repeats; give one of your own to repeat an
        invocation yourself. With `repeat_broken=False` nothing is repeated that may have arrived:
        for a gateway that knows no `Idempotency-Key`.

        A failure's `code` is the gateway's; where the tool itself answered with a failure it is
        None, and `body` is the answer. Raises `PermissionError` when OPA denies.
        """
        self._mode.require(TransportMode.HTTP_ONLY, "invoke_tool")
        self._connections.require_open()
        call = Call(
            server=server_name,
            tool=tool_name,
            parameters=parameters or {},
            api_key=self._api_key,
            user_token=user_token,
            trace_id=trace_id,
            key=idempotency_key,
            repeat_broken=repeat_broken,
            sensitivity=self._catalog.sensitivity(server_name, tool_name),
        )
        return await invoke(call, self._http, self._opa, deadline_of(timeout, self._timeout_s))

    # --- events ---

    def stream_events(  # noqa: PLR0913 - the stream's filters
        self,
        event_types: Sequence[str] | None = None,
        server: str | None = None,
        trace_id: str | None = None,
        status: str | None = None,
        *,
        endpoint: str = EVENTS,
        user_token: str | None = None,
        last_event_id: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Events as they come, filtered by the gateway, until you leave (`aclose()`).

        A connection that breaks is taken up again where it was (`Last-Event-ID`). What the gateway
        could not keep for you it tells by an event of type `gap`, which comes whatever
        `event_types` says; its `document["count"]` is how many. `last_event_id`
        begins behind that event; a stream that breaks before its first one begins with now again.
        Raises what a refusal is (401, 403, 404), at once, and
        `RetryExhaustedError` when no stream could be had in `max_attempts`; one that was there is
        sought again for ever. Without error handling a stream that breaks raises.
        """
        sse = self._get_sse_client("stream_events")
        kinds = [event_types] if isinstance(event_types, str) else event_types
        types = ",".join(kinds or ())
        target = with_query(endpoint, types=types, server=server, trace_id=trace_id, status=status)
        fields = caller_fields(self._api_key, user_token, None)
        request = Request(target=target, what="stream_events", fields=fields)
        return sse.stream(request, visible("last_event_id", last_event_id) if last_event_id else "")

    async def events_for(
        self, trace_id: str, *, limit: int = 1000, user_token: str | None = None
    ) -> list[dict[str, Any]]:
        """The newest events of a trace, oldest first; at most `limit` (up to 10 000)."""
        asking = self._asking("events_for", user_token)
        return await self._catalog.events(asking, trace_id, limit)

    async def summary(self, trace_id: str, *, user_token: str | None = None) -> dict[str, Any]:
        """What the events of a trace add up to: counts, durations in ms, errors."""
        return await self._catalog.summary(self._asking("summary", user_token), trace_id)

    # --- local servers ---

    async def connect_local_server(
        self,
        command: Sequence[str],
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        server_id: str | None = None,
        *,
        on_notification: OnNotification | None = None,
        most_line_bytes: int = MOST_LINE_BYTES,
    ) -> LocalServer:
        """Start a server of one's own; it speaks JSON-RPC 2.0, one message per line.

        `env` is its whole environment; without one it gets ours. The program is looked up in its
        PATH, or in ours where `env` has none. `on_notification(method, params)` gets what it tells
        by itself. A line may have `most_line_bytes`. Raises `LocalServerError`.
        """
        self._mode.require(TransportMode.STDIO_ONLY, "connect_local_server")
        return await self._local.connect(
            command, cwd, env, server_id, on_notification, most_line_bytes=most_line_bytes
        )

    # --- the client itself ---

    async def health_check(self) -> dict[str, Any]:
        """How each transport is now: `http`, `sse` (where used), `stdio` (where used).

        `error_handler` is as in `get_metrics`. Asks the gateway, for at most 5 s; never raises
        for an answer, or for want of one.
        """
        fields = caller_fields(self._api_key, None, None)
        found: dict[str, Any] = {}
        if self._mode in (TransportMode.AUTO, TransportMode.HTTP_ONLY):
            found["http"] = await of_http(self._http, fields)
        if self._sse is not None:
            request = Request(target=EVENTS, what="health_check", fields=fields)
            found["sse"] = await of_sse(self._sse, request)
        return {**found, **self._shared_view()}

    def get_metrics(self) -> dict[str, Any]:
        """Counts since the client was made; rates are shares from 0 to 1.

        `error_handler.circuit_breaker` adds up all circuits (its `state` is the worst one's) and
        has each in `per_server`; `*` is the circuit of lists and infos.
        """
        used = {"http": self._http.used, "sse": self._sse is not None, "stdio": bool(self._local)}
        return {
            "transport_mode": self._mode.value,
            "active_transports": [name for name, is_used in used.items() if is_used],
            "http_cache_hit_rate": self._http.cache.hit_rate,
            "http_cache": self._http.cache.view(),
            **self._shared_view(),
        }

    async def close(self) -> None:
        """Stop local servers, give up what is under way, close connections; OPA's too.

        Once more does nothing.
        """
        self._connections.refuse()
        try:
            await self._local.close()
        finally:
            await self._http.close()
            await self._connections.close()
            if self._opa is not None:
                await self._opa.close()

    def _shared_view(self) -> dict[str, Any]:
        handler = self._handler.view()
        return {
            **({"stdio": self._local.view()} if self._local else {}),
            **({"error_handler": handler} if handler else {}),
        }

    def _asking(self, what: str, user_token: str | None, *, fresh: bool = False) -> Asking:
        self._mode.require(TransportMode.HTTP_ONLY, what)
        return Asking(self._api_key, user_token, fresh)

    def _get_sse_client(self, what: str = "an event stream") -> SseTransport:
        """The streams of this client."""
        self._mode.require(TransportMode.SSE_ONLY, what)
        if self._sse is None:
            self._sse = SseTransport(self._base_url, self._connections, self._handler.retry)
        return self._sse
