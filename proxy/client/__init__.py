"""The client of a gateway: lists, infos, invocations, event streams, local servers.

Stands alone: it imports nothing of the sidecar, and needs aiohttp and the standard library.
`URL` is your gateway's: `http://gateway:8080`. Without one it is `http://localhost:8080`.

>>> async def calls() -> None:
...     async with GatewayClient(gateway_url=URL, api_key="your-api-key", timeout=10.0) as client:
...         for tool in await client.list_all_tools("postgres-mcp"):
...             print(tool.tool_name, [each["name"] for each in tool.parameters])
...         query = {"query": "SELECT 1"}
...         print(await client.invoke_tool("postgres-mcp", "execute_query", query))
...         slow = client.invoke_tool  # ten seconds are not enough for this one
...         print(await with_timeout(slow, "postgres-mcp", "report", {}, timeout_seconds=300.0))
>>> asyncio.run(calls())
execute_query ['query']
{'rows': [1]}
{'rows': [1]}

A failed call says why in one sentence, and has the facts:

>>> async def fails() -> None:
...     async with GatewayClient(gateway_url=URL) as client:
...         try:
...             await client.get_server_info("nobody")
...         except NotFoundError as error:
...             print(error, error.status, error.code, sep=" | ")
>>> asyncio.run(fails())
get_server_info(nobody) failed: No server nobody (404 Not Found, not_found) | 404 | not_found

Events come until you leave; a broken connection is taken up again where it was:

>>> async def listens() -> None:
...     async with GatewayClient(gateway_url=URL) as client:
...         async with aclosing(client.stream_events(event_types=["tool_invoked"])) as events:
...             async for event in events:
...                 print(event.event_type, event.event_id, event.document)
...                 break
>>> asyncio.run(listens())
tool_invoked 1 {'n': 1}

A server of one's own speaks JSON-RPC over its standard input and output:

>>> async def starts() -> None:
...     async with GatewayClient(transport_mode=TransportMode.STDIO_ONLY) as client:
...         server = await client.connect_local_server(command=COMMAND, server_id="mine")
...         print(await server.send_request("echo", {"message": "hello"}))
...         await server.stop()
>>> asyncio.run(starts())
{'message': 'hello'}
"""

from proxy.client.breaker import CircuitBreakerConfig
from proxy.client.client import GatewayClient
from proxy.client.error_handler import with_timeout
from proxy.client.errors import (
    AnswerLostError,
    AuthenticationError,
    CircuitBreakerError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    GatewayError,
    LocalServerError,
    NotFoundError,
    PermissionError,  # noqa: A004 - the guide's name, and a subclass of the built-in
    RetryExhaustedError,
    RpcError,
    TimeoutError,  # noqa: A004 - the guide's name, and a subclass of the built-in
    TransportModeError,
)
from proxy.client.fields import current_trace, set_trace
from proxy.client.models import Event, Server, Tool
from proxy.client.modes import TransportMode
from proxy.client.opa import Decision, OPAClient, Question
from proxy.client.retrieval import Artifact, UntrustedError
from proxy.client.retry import RetryConfig
from proxy.client.stdio import LocalServer

__all__ = [
    "AnswerLostError",
    "Artifact",
    "AuthenticationError",
    "CircuitBreakerConfig",
    "CircuitBreakerError",
    "ClientClosedError",
    "ConnectError",
    "ConnectionLostError",
    "Decision",
    "Event",
    "GatewayClient",
    "GatewayError",
    "LocalServer",
    "LocalServerError",
    "NotFoundError",
    "OPAClient",
    "PermissionError",
    "Question",
    "RetryConfig",
    "RetryExhaustedError",
    "RpcError",
    "Server",
    "TimeoutError",
    "Tool",
    "TransportMode",
    "TransportModeError",
    "UntrustedError",
    "current_trace",
    "set_trace",
    "with_timeout",
]
