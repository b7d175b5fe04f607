"""The store as a running sidecar uses it: off the event loop, and never in the way of a call.

What cannot be written is said (`problem`) and goes on without; what cannot be read raises. Knows
nothing of what a generation means.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from proxy import errors
from proxy.artifact import Floor, Signed
from proxy.generations.records import Activation, Active, Latest, Published
from proxy.generations.store import MissingError, Store, StoreError

_LOG = logging.getLogger("toolproxy.registry")
_OFF: Final = "There is no store of generations: registry.store of the settings is empty"

T = TypeVar("T")


class Archive:
    """One store, or none: an empty `folder` switches it off."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.problem = ""  # why nothing is kept; empty while it is
        self._store = Store(folder) if folder else None
        self._thread = ThreadPoolExecutor(1, "store")

    def __repr__(self) -> str:
        return f"<Archive {self.folder or 'none'}>"

    @property
    def is_writable(self) -> bool:
        """Did all that was to be written last get there?"""
        return self._store is not None and not self.problem

    @property
    def troubles(self) -> str:
        """Why nothing is kept, or what of it is broken."""
        return self.problem or "; ".join(self._store.problems if self._store else ())

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def open(self) -> None:
        """Make ready to be written."""
        await self._write(Store.open)

    # --- what is known ---

    async def active(self) -> Active | None:
        return await self._look(Store.active, None)

    async def floor(self, profile: str) -> Floor | None:
        """The newest version of a profile that was ever here; None when that cannot be told."""
        if self._store is None:
            return Floor()
        return await self._look(lambda store: store.floor(profile), None)

    async def history(self, limit: int) -> list[Activation]:
        return await self._look(lambda store: store.history(limit), [])

    async def find(self, prefix: str) -> str:
        """A whole id; raises `ProxyError`."""

        def find(store: Store) -> str:
            try:
                return store.find(prefix)
            except StoreError as error:  # too short, or ambiguous
                raise MissingError(str(error)) from None

        return await self._read(find)

    async def read(self, generation: str) -> tuple[bytes, Signed | None]:
        """The canonical form and the newest signature of a generation; raises `ProxyError`."""
        return await self._read(lambda store: (store.read(generation), store.signed(generation)))

    async def published(self, client: str, profile: str) -> Published | None:
        return await self._read(lambda store: store.published(client, profile))

    # --- what is kept ---

    async def keep(self, latest: Latest, canonical: bytes) -> None:
        """What is there and does not run."""
        await self._write(lambda store: store.note_latest(latest, canonical))

    async def activate(self, activation: Activation, canonical: bytes, pinned_against: str) -> None:
        """What runs now."""
        await self._write(
            lambda store: store.activate(activation, canonical, pinned_against=pinned_against)
        )

    async def unpin(self) -> None:
        await self._write(Store.unpin)

    async def publish(self, client: str, profile: str, canonical: bytes, signed: Signed) -> None:
        """For clients to fetch; raises `ProxyError`, since who publishes must know."""
        await self._read(lambda store: store.publish(client, profile, canonical, signed))

    async def _write(self, write: Callable[[Store], None]) -> None:
        if self._store is None:
            return
        try:
            await self._apart(write, self._store)
        except StoreError as error:
            if str(error) != self.problem:
                _LOG.warning("Generations are not kept: %s", error)
            self.problem = str(error)
        else:
            self.problem = ""

    async def _look(self, look: Callable[[Store], T], nothing: T) -> T:
        if self._store is None:
            return nothing
        try:
            return await self._apart(look, self._store)
        except StoreError as error:
            _LOG.warning("The store of generations cannot be read: %s", error)
            return nothing

    async def _read(self, read: Callable[[Store], T]) -> T:
        if self._store is None:
            raise errors.StoreUnavailableError(_OFF)
        try:
            return await self._apart(read, self._store)
        except MissingError as error:
            raise errors.GenerationNotFoundError(str(error)) from None
        except StoreError as error:
            raise errors.StoreUnavailableError(str(error)) from None

    async def _apart(self, work: Callable[[Store], T], store: Store) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, store)
