"""The life of one process: its tasks, and the signals that change or end it.

Knows nginx's words for signals. Knows nothing of what is done for them.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from typing import Any

_LOG = logging.getLogger("toolproxy")


class Tasks:
    """Tasks that end with their owner; a bug in one of them is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("A bug of ours ended a task", exc_info=error)

    async def end(self) -> None:
        """Cancel them, one after the other."""
        for task in list(self._tasks):
            task.cancel()
            # What else it may end with has been logged.
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


class Life:
    """One process that serves, until a signal ends it."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.draining = False
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- for whoever lives it ---

    async def reload(self) -> None:
        """Take up what can be changed."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Finish what was accepted, and accept no more."""
        raise NotImplementedError

    def reopen(self) -> None:
        """Files may have been moved away."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of everything."""
        raise NotImplementedError

    # --- its course ---

    def install_signals(self) -> None:
        """Nginx's words: HUP reloads, QUIT and TERM drain, INT stops at once, USR1 reopens logs."""
        add = asyncio.get_running_loop().add_signal_handler
        add(signal.SIGHUP, lambda: self.tasks.own(self.reload()))
        add(signal.SIGTERM, self.begin_drain)
        add(signal.SIGQUIT, self.begin_drain)
        add(signal.SIGINT, self._end)
        add(signal.SIGUSR1, self.reopen)

    def begin_drain(self) -> None:
        if not self.draining:
            self.draining = True
            self.tasks.own(self._drain())

    async def stopped(self) -> None:
        """Wait for the end; then let go of everything."""
        await self._stop
        await self.close()

    @property
    def is_over(self) -> bool:
        """Has a signal, or a drain, come to its end?"""
        return self._stop.done()

    async def comes_before_end(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do the work, but no longer than until the end; was it done?"""
        task = asyncio.get_running_loop().create_task(work)
        await asyncio.wait((task, self._stop), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        return not self.is_over

    async def _drain(self) -> None:
        try:
            await self.drain()
        finally:
            self._end()

    def _end(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)
