"""A local server: a child process that speaks JSON-RPC 2.0, one message per line.

Requests wait for their answers as long as they may; a server with nothing to say is idle, not hung.
Its own requests are refused, its notifications handed on.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from proxy.client import errors
from proxy.client.child import MOST_LINE_BYTES, Child, started
from proxy.client.codec import decoded, encoded, mapping
from proxy.client.deadline import deadline_of, until
from proxy.client.errors import Facts

_LOG: Final = logging.getLogger(__name__)
_GRACE_S: Final = 2.0
_METHOD_NOT_FOUND: Final = -32601
_SHOWN_CHARACTERS: Final = 100

OnNotification = Callable[[str, object], None]


class StdioTransport:
    """Messages to and from one child. `_process` has its `pid` and `returncode`."""

    def __init__(self, name: str, on_notification: OnNotification | None) -> None:
        self._name = name
        self._on_notification = on_notification
        self._process: Child
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._ids = itertools.count(1)

    def __repr__(self) -> str:
        return f"<StdioTransport {self._name} waiting={len(self._waiting)}>"

    async def start(
        self,
        command: Sequence[str],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        most_line_bytes: int,
    ) -> None:
        def child() -> Child:
            return Child(self._received, self._ended, most_line_bytes)

        self._process = await started(child, command, cwd, env)

    @property
    def process(self) -> Child:
        return self._process

    async def ask(self, method: str, params: object) -> object:
        """Send a request and wait for its result."""
        number = next(self._ids)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self.tell({"id": number, "method": method, "params": params})
            return await future
        finally:
            self._waiting.pop(number, None)

    async def tell(self, message: Mapping[str, object]) -> None:
        """Send a message, once there is room for it; raises `LocalServerError`."""
        octets = encoded({"jsonrpc": "2.0", **message}, "the message")
        await self._process.writable()
        if self._process.reason:
            raise self._failure(self._process.reason)
        self._process.write(octets + b"\n")

    def _received(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            value = decoded(line)
        except ValueError:
            shown = line[:_SHOWN_CHARACTERS].decode(errors="replace")
            _LOG.warning("%s wrote something that is no JSON: %r", self._name, shown)
            return
        for each in value if isinstance(value, list) else [value]:
            self._take(mapping(each))

    def _take(self, message: Mapping[str, object]) -> None:
        method, number = message.get("method"), message.get("id")
        if not isinstance(method, str):
            self._answered(number, message)
        elif number is None:
            self._notified(method, message.get("params"))
        else:
            self._refuse(number, method)

    def _answered(self, number: object, message: Mapping[str, object]) -> None:
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            return  # too late, or never asked
        if "error" in message:
            future.set_exception(self._rpc_error(mapping(message["error"])))
        else:
            future.set_result(message.get("result"))

    def _notified(self, method: str, params: object) -> None:
        if self._on_notification is None:
            return
        try:
            self._on_notification(method, params)
        except Exception:  # noqa: BLE001 - somebody else's; the messages behind must not suffer
            _LOG.exception("on_notification failed for %s of %s", method, self._name)

    def _refuse(self, number: object, method: str) -> None:
        if not self._process.has_room:
            return  # it does not read: nothing of ours is to pile up
        said = {"code": _METHOD_NOT_FOUND, "message": f"Method not found: {method[:100]}"}
        answer = {"jsonrpc": "2.0", "id": number, "error": said}
        self._process.write(encoded(answer, "the answer") + b"\n")

    def _ended(self, reason: str) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._failure(reason))

    def _failure(self, reason: str) -> errors.LocalServerError:
        return errors.LocalServerError(f"Local server {self._name} is gone: {reason}")

    def _rpc_error(self, error: Mapping[str, object]) -> errors.RpcError:
        code = error.get("code")
        return errors.RpcError(
            f"Local server {self._name} answered: {error.get('message') or 'no reason given'}",
            Facts(code=code if isinstance(code, int) else None, body=error.get("data")),
        )


class LocalServer:
    """A local server under way; made by `GatewayClient.connect_local_server`."""

    def __init__(self, server_id: str, transport: StdioTransport, default_timeout_s: float) -> None:
        self.server_id = server_id
        self.transport = transport
        self._default_timeout_s = default_timeout_s
        self._stopped = False

    def __repr__(self) -> str:
        return f"<LocalServer {self.server_id} {self.transport.process}>"

    @property
    def is_running(self) -> bool:
        child = self.transport.process
        return not self._stopped and not child.reason and child.returncode is None

    async def send_request(
        self,
        method: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - a cancelled request would not say why
    ) -> Any:  # as JSON is
        """The result of a JSON-RPC 2.0 request, as Python has its JSON.

        `timeout` in seconds, else that of `with_timeout`, else the client's. Raises `RpcError`
        (`code`, `body` is its data), `TimeoutError`, and `LocalServerError` when the server ends
        meanwhile (with its exit status and last words) or had ended before.
        """
        self._require_running()
        what = f"{method} of local server {self.server_id}"
        async with until(deadline_of(timeout, self._default_timeout_s), what):
            return await self.transport.ask(method, {} if params is None else params)

    async def send_notification(
        self, method: str, params: Mapping[str, object] | Sequence[object] | None = None
    ) -> None:
        """Tell it something; it does not answer. Raises `LocalServerError`, `TimeoutError`."""
        self._require_running()
        what = f"{method} to local server {self.server_id}"
        async with until(deadline_of(None, self._default_timeout_s), what):
            message = {"method": method, "params": {} if params is None else params}
            await self.transport.tell(message)

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """Close its input; after `grace_s` seconds ask it to end, after as many end it.

        Afterwards the process is gone. Once more does nothing.
        """
        self._stopped = True
        await self.transport.process.stop(grace_s)

    def view(self) -> dict[str, object]:
        """The guide's dictionary: `status` and `pid`, and how it ended."""
        child = self.transport.process
        if self.is_running:
            return {"status": "running", "pid": child.pid}
        return {"status": "stopped", "pid": child.pid, "exit_status": child.returncode}

    def _require_running(self) -> None:
        if self._stopped:
            raise errors.LocalServerError(
                f"Local server {self.server_id} was stopped; connect it again"
            )


async def connected(  # noqa: PLR0913 - the guide's options, passed on by name
    *,
    command: Sequence[str],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    server_id: str,
    default_timeout_s: float,
    on_notification: OnNotification | None,
    most_line_bytes: int = MOST_LINE_BYTES,
) -> LocalServer:
    """Start a local server."""
    transport = StdioTransport(server_id, on_notification)
    await transport.start(command, cwd, env, most_line_bytes)
    return LocalServer(server_id, transport, default_timeout_s)
