"""The registrar: which generation runs, and what must hold before another one does.

The contract's order, of which `reading` does the beginning: compare, policy, swap, store, event.
One at a time; whatever fails, the running generation stays. Knows nothing of how a text is read, a
table swapped or a file written.
"""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final, NamedTuple

from msgspec.structs import replace

from proxy import errors
from proxy.artifact import Floor, Signed, canonical, moment
from proxy.config.sections import RegistrySettings
from proxy.generations import telling
from proxy.generations.archive import Archive
from proxy.generations.comparison import Comparison
from proxy.generations.offload import NotLoadedError, read_elsewhere
from proxy.generations.reading import Candidate, Job, Trust, job_of, trust_of
from proxy.generations.records import Activation, Latest, Reason, State
from proxy.generations.severity import ChangeClass
from proxy.generations.source import AwayError, Source, spool
from proxy.generations.tables import compared
from proxy.registry.live import LiveRegistry, Tell, let_go
from proxy.registry.load import RegistryRejectedError

_LOG = logging.getLogger("toolproxy.registry")
_SHOWN: Final = 12  # of an identity, to people

Read = Callable[[Job, int | None], Awaitable[Candidate]]  # a job, and a handle that is lent


class Running(NamedTuple):
    """The generation in force."""

    identity: str = ""
    signed: Signed | None = None
    taken_at: str = ""
    pinned_against: str = ""  # the source's text that is passed over; empty: not pinned


class Newest(NamedTuple):
    """The newest text of the source that could be read, and how it stands to what runs."""

    identity: str = ""
    signed: Signed | None = None
    status: str = "unknown"


class Registrar:
    """Keeps the running generation, by the settings and the source that it is given."""

    def __init__(
        self,
        live: LiveRegistry,
        source: Source,
        settings: RegistrySettings,
        tell: Tell,
        read: Read = read_elsewhere,
    ) -> None:
        """Without a store until `follow` gives it one."""
        self.live = live
        self.source = source
        self.settings = settings
        self.archive = Archive("")
        self.running = Running()
        self.newest = Newest()
        self.held: Candidate | None = None  # waits for `accept`
        self.reloads: Counter[str] = Counter()  # by result: accepted, rejected, held
        self.away = ""  # why the source cannot be asked; empty while it can
        self.rejection = ""  # why its newest text is not in force; empty when it is
        self._tell = tell
        self._read = read
        self._unkept = False  # the store lacks what runs
        self._floors: dict[str, Floor] = {}  # by profile; the store's are at most as high
        self._seen = ""  # the tag of the newest text, good or bad
        self.turn = asyncio.Lock()  # one change at a time
        self._looking = asyncio.Lock()  # one look at the source at a time
        self._committing = asyncio.Lock()  # from the swap to the event

    def __repr__(self) -> str:
        return f"<Registrar {self.running.identity[:_SHOWN] or 'nothing'} of {self.source.name}>"

    @property
    def problem(self) -> str:
        """Why the newest text is not in force, or not known; empty when it is."""
        return self.rejection or self.away

    def follow(self, settings: RegistrySettings, archive: Archive) -> None:
        """New settings, and the store that they name, which is open; then comes `refresh`."""
        self.settings = settings
        if archive is not self.archive:
            self.archive.close()
            self.archive, self._unkept = archive, bool(self.running.identity)

    @property
    def passed_over(self) -> str:
        """The source's text that a rollback is made to be rid of."""
        running = self.running
        return self.newest.identity or running.pinned_against or running.identity

    # --- what the source says ---

    async def refresh(self, *, force: bool = False) -> None:
        """Look at the source again; take up what is there if it is new (or `force`) and good.

        `force` also gives what runs the rules and secrets of now. An order need not wait until a
        source has answered.
        """
        async with self._looking:
            if force:
                self.forget()
            try:
                candidate = await self.fetch(self._read)
            except AwayError as error:
                self.note_away(str(error))
            except RegistryRejectedError as error:
                async with self.turn:
                    self._refuse(error)
            else:
                if candidate is not None:
                    async with self.turn:
                        await self.consider(candidate, renew=force)

    def _refuse(self, error: RegistryRejectedError) -> None:
        if not isinstance(error, NotLoadedError):
            self.newest, self.held = Newest(), None
        self.reject(str(error), codes=telling.codes_of(error))

    async def fetch(self, read: Read) -> Candidate | None:
        """What the source has, unless it was seen.

        Raises `AwayError`, and `RegistryRejectedError` for what may not be a generation here.
        """
        async with self.source.fetch(self._seen) as text:
            self.away = ""
            if text is None:
                return None
            try:
                job = job_of(text, self.source.name, self.live.rules, await self.trust())
                candidate = await read(job, text.handle)
            except NotLoadedError:  # nothing is known of it: it is worth another look
                self.forget()
                raise
            except RegistryRejectedError:
                self._seen = text.tag
                raise
            self._seen = text.tag
            return candidate

    def forget(self) -> None:
        """What was seen last is new again."""
        self._seen = ""

    def note_away(self, why: str) -> None:
        """The source cannot be asked; what runs goes on."""
        if why != self.away:
            _LOG.warning("The registry's source can't be asked, what runs goes on: %s", why)
        self.away = why

    async def consider(self, candidate: Candidate, *, renew: bool = False) -> None:
        """Compare with what runs, ask the policy, and take it up or say why not."""
        floor = self._floors.get(self.settings.profile, Floor())
        if candidate.signed and not floor.admits(candidate.signed.envelope):
            self.forget()  # a newer one was accepted meanwhile: the next look refuses this one
            return
        comparison = await self.compare(candidate)
        self.newest = Newest(candidate.identity, candidate.signed, comparison.status)
        breaks = comparison.change_class is ChangeClass.BREAKING and self.running.identity
        if self.running.pinned_against == candidate.identity:
            self.rejection = ""
            _LOG.info("Generation %s stays pinned", self.running.identity[:_SHOWN])
        elif breaks and self.settings.on_breaking != "accept":
            await self._withhold(candidate)
        else:
            renew = False
            self.newest = self.newest._replace(status="up-to-date")
            await self.take(candidate, comparison.change_class, "source")
        if renew:
            await self._renew()

    async def _renew(self) -> None:
        """What runs stays, by the rules and with the secrets of now."""
        try:
            candidate = await self.stored(self.running.identity)
        except errors.ProxyError as error:
            _LOG.warning("What runs goes on as it is, it can't be read anew: %s", error.detail)
        else:
            await self.live.take_up(candidate.loaded)

    async def compare(self, candidate: Candidate) -> Comparison:
        """What would change, seen from what runs."""
        return await compared(
            self.live.current, candidate.loaded, same=candidate.identity == self.running.identity
        )

    async def _withhold(self, candidate: Candidate) -> None:
        shown = candidate.identity[:_SHOWN]
        holds = self.settings.on_breaking == "hold"
        state: State = "held" if holds else "rejected"
        self.held = candidate if holds else None
        latest = Latest(candidate.identity, _now(), candidate.signed, state)
        await self.archive.keep(latest, b"".join(candidate.canonical))
        if holds:
            why = f"Generation {shown} breaks callers: it waits for 'toolproxy registry accept'"
        else:
            why = f"Generation {shown} breaks callers, and registry.on_breaking is reject"
        self.reject(why, state, change=ChangeClass.BREAKING)

    def reject(
        self,
        why: str,
        result: str = "rejected",
        *,
        codes: Sequence[str] = (),
        change: ChangeClass | None = None,
    ) -> None:
        """Say why the newest text is not taken up."""
        self.rejection = why
        self.reloads[result] += 1
        table = self.live.current
        _LOG.error("Registry %s, generation %d stays: %s", result, table.generation, why)
        facts = telling.rejected(
            table,
            why,
            result,
            identity=self.newest.identity or None,
            change_class=change and change.value,
            codes=codes,
        )
        self._tell("registry_rejected", facts)

    # --- what runs ---

    async def take(
        self, candidate: Candidate, change: ChangeClass, reason: Reason, pinned_against: str = ""
    ) -> None:
        """Put it in force: swap, store, event."""
        fading: list[object] = [
            *candidate.loaded.servers,
            *self.live.current.tools_of.values(),
        ]
        async with self._committing:
            await self.live.take_up(candidate.loaded)
            await self.taken(candidate, change, reason, pinned_against)
        del candidate
        await let_go(fading)

    async def taken(
        self,
        candidate: Candidate,
        change: ChangeClass | None,  # None: there is nothing to compare it with
        reason: Reason,
        pinned_against: str = "",
    ) -> None:
        """It is in force: keep it, and tell."""
        before, table = self.running, self.live.current
        running = Running(candidate.identity, candidate.signed, _now(), pinned_against)
        self.running = running
        self.held = None
        if self.newest.identity or reason in {"source", "start"}:
            self.rejection = ""  # else the source is still what it was
        self.reloads["accepted"] += 1
        if candidate.signed is not None:
            self._raise_floor(candidate.signed)
        if self._unkept or running._replace(taken_at="") != before._replace(taken_at=""):
            activation = Activation(
                at=running.taken_at,
                generation=running.identity,
                reason=reason,
                change_class=change and change.value,
                source=self.source.name,
                signed=running.signed,
                servers=len(table.servers),
                tools=len(table.tools),
            )
            octets = b"".join(candidate.canonical)
            await self.archive.activate(activation, octets, pinned_against)
            self._unkept = not self.archive.is_writable
        facts = telling.reloaded(table, candidate, change, reason)
        self._tell("registry_reloaded", facts)

    async def settled(self) -> None:
        """What is in force has been kept, and told."""
        async with self._committing:
            return

    # --- by which rules ---

    async def stored(self, generation: str) -> Candidate:
        """A generation that is kept, read anew; raises `ProxyError`."""
        octets, signed = await self.archive.read(generation)
        # What was accepted once was new then, and its key had not expired.
        return await self.reread(octets, signed, replace(trust_of(self.settings), ages=False))

    async def reread(self, octets: bytes, signed: Signed | None, trust: Trust) -> Candidate:
        """What was read before, by the rules of now; raises `ProxyError`."""
        beside = None if signed is None else canonical(signed.document())
        name = f"generation {hashlib.sha256(octets).hexdigest()[:_SHOWN]}"
        job = Job(path="", name=name, rules=self.live.rules, signature=beside, trust=trust)
        try:
            return await self.read_octets(octets, job)
        except RegistryRejectedError as error:
            why = f"It can't be taken up: {str(error).partition(chr(10))[0]}"
            raise errors.RegistryConflictError(why) from None

    async def read_octets(self, octets: bytes, job: Job) -> Candidate:
        """The same as for what a source lends; the path of the job is filled in."""
        loop = asyncio.get_running_loop()
        with spool() as file:
            await loop.run_in_executor(None, _written, file, octets)
            handle = file.fileno()
            return await self._read(replace(job, path=f"/dev/fd/{handle}"), handle)

    async def trust(self) -> Trust:
        """What a signature is held against now; raises `AwayError` when that cannot be told."""
        profile = self.settings.profile
        kept = await self.archive.floor(profile)
        if kept is None:
            if self.settings.needs_signature:  # else an older one could pass for the newest
                raise AwayError("the store does not say which version was the newest")
            kept = Floor()
        return trust_of(self.settings, kept, self._floors.get(profile, Floor()))

    def _raise_floor(self, signed: Signed) -> None:
        envelope = signed.envelope
        floor = Floor(envelope.version, envelope.registry_sha256)
        known = self._floors.get(envelope.profile, Floor())
        self._floors[envelope.profile] = max(known, floor, key=lambda it: it.version)


def _written(file: BinaryIO, octets: bytes) -> None:
    file.write(octets)
    file.flush()


def _now() -> str:
    return moment(datetime.now(UTC).timestamp())
