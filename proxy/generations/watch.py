"""When to look at the registry's file again: when it was touched, and every poll interval.

Sees rename-over, in-place writes, and a ConfigMap's `..data` swap, where the file itself is never
touched; and all that of the signature beside it. Knows nothing of what is in the files; whoever is
told compares the content.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from proxy.generations.source import SIGNATURE_SUFFIX, Changed

_LOG = logging.getLogger("toolproxy.registry")
# At least this long apart, at most this long unseen, while changes keep coming.
_STEP_MS: Final = 50
_DEBOUNCE_MS: Final = 200
# What changed between the load and the watch is seen this soon.
_FIRST_LOOK_MS: Final = 250
# How soon to try again to watch a folder that is not there, or not to be watched.
_RETRY_S: Final = 5.0
_CONFIG_MAP_LINK: Final = "..data"


class Watch:
    """Calls `changed` whenever the file may have changed. Run it as a task; cancel it to end."""

    def __init__(self, path: str, poll_interval_s: float, changed: Changed) -> None:
        plain = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the link
        self._paths = (Path(plain), Path(plain + SIGNATURE_SUFFIX))
        self._poll_interval_s = poll_interval_s
        self._changed = changed

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll())
            tasks.create_task(self._notice())

    async def _poll(self) -> None:
        """For file systems without notification."""
        while True:
            await asyncio.sleep(self._poll_interval_s)
            await self._changed()

    async def _notice(self) -> None:
        while True:
            try:
                await self._notice_until_moved()
            except (
                OSError,
                RuntimeError,
            ) as error:  # the second from watchfiles, out of descriptors
                why = str(error).partition(" about ")[0]  # what follows is watchfiles' own
                _LOG.warning("The registry can't be watched, only polled: %s", why)
                await asyncio.sleep(_RETRY_S)

    async def _notice_until_moved(self) -> None:
        """Watch until a path leads to another file; then the watches must be set anew."""
        there = self._places()
        async with aclosing(self._batches()) as batches:
            async for _ in batches:
                # What changed between the last look and this watch is seen by looking once more.
                await self._changed()
                if self._places() != there:
                    return

    async def _batches(self) -> AsyncGenerator[None, None]:
        """Once when the watch stands, then once per burst of changes."""
        text, signature = self._paths
        targets = [Path(real) for real, _ in self._places()]
        names = {text.name, signature.name, _CONFIG_MAP_LINK, *(each.name for each in targets)}
        watched = {text.parent, targets[0].parent}
        for target in targets:
            # The file itself too: one that is bind-mounted alone lies in no folder that changes.
            watched.update(each for each in (target, target.parent) if each.exists())

        def concerns_us(_: Change, path: str) -> bool:
            return os.path.basename(path) in names  # noqa: PTH119 - called for every file there

        changes = awatch(
            *watched,
            watch_filter=concerns_us,
            recursive=False,
            step=_STEP_MS,
            debounce=_DEBOUNCE_MS,
            rust_timeout=_FIRST_LOOK_MS,
            yield_on_timeout=True,
        )
        stood = False
        async with aclosing(changes):
            async for batch in changes:
                if batch or not stood:
                    stood = True
                    yield

    def _places(self) -> list[tuple[str, int]]:
        """Which files the paths lead to."""
        return [_place(path) for path in self._paths]


def _place(path: Path) -> tuple[str, int]:
    real = os.path.realpath(path)
    try:
        return real, os.stat(real).st_ino  # noqa: PTH116 - one call for link and file
    except OSError:
        return real, 0
