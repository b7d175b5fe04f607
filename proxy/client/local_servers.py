"""The local servers of one client: started under a name, stopped together."""

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence

from proxy.client.errors import ClientClosedError
from proxy.client.stdio import LocalServer, OnNotification, connected


class LocalServers:
    """By `server_id`. One that ended by itself stays until its name is wanted again."""

    def __init__(self, default_timeout_s: float) -> None:
        self._default_timeout_s = default_timeout_s
        self._kept: dict[str, LocalServer] = {}
        self._starting: set[str] = set()
        self._numbers = itertools.count(1)
        self._closed = False

    def __repr__(self) -> str:
        return f"<LocalServers {sorted(self._kept)}>"

    def __bool__(self) -> bool:
        return bool(self._kept)

    async def connect(
        self,
        command: Sequence[str],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        server_id: str | None,
        on_notification: OnNotification | None,
        **bounds: int,
    ) -> LocalServer:
        """Start one; raises `ValueError` for a name that is in use, `LocalServerError`."""
        self._require_open()
        name = server_id or f"local-{next(self._numbers)}"
        if name in self._starting or (name in self._kept and self._kept[name].is_running):
            raise ValueError(f"a local server {name} is running already; choose another server_id")
        self._starting.add(name)
        try:
            server = await connected(
                command=command,
                cwd=cwd,
                env=env,
                server_id=name,
                default_timeout_s=self._default_timeout_s,
                on_notification=on_notification,
                **bounds,
            )
        finally:
            self._starting.discard(name)
        replaced, self._kept[name] = self._kept.get(name), server
        if replaced is not None:
            await replaced.stop()  # it has ended, or broke the protocol
        if self._closed:
            await server.stop()
        return server

    def _require_open(self) -> None:
        if self._closed:
            raise ClientClosedError("This client is closed; make a new one")

    def view(self) -> dict[str, object]:
        """The guide's dictionary: status and pid of each."""
        return {name: server.view() for name, server in self._kept.items()}

    async def close(self) -> None:
        """Stop all."""
        self._closed = True
        await asyncio.gather(*(server.stop() for server in self._kept.values()))
